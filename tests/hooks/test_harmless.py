"""`git commit` never fails, waits or says anything because of us; and once the trouble is gone,
the index catches up. Here the worker is the real one."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from copilot_commands import BIN, Copilot
from gitrepo import GitRepo
from level import assert_level, know

from git_copilot.hooks.install import install
from git_copilot.hooks.launch import WORKER_MODULE, start_worker, stop_worker
from git_copilot.hooks.lock import worker_alive, worker_starting
from git_copilot.hooks.spool import Spool
from git_copilot.index.db import DATABASE_NAME
from git_copilot.index.git import GitRepository

NOBODY = 65534


def settle(state: Path, seconds: float = 60) -> None:
    """Wait until no worker is left: also not one that looked at the spool again while leaving."""
    deadline = time.monotonic() + seconds
    idle = 0
    while idle < 3:
        idle = 0 if worker_alive(state) or worker_starting(state) else idle + 1
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def site(repo, tiny_embedder, monkeypatch):
    """A repository with an index and the real worker; what still works there ends with it."""
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    repo.commit({"src/util.py": "def alpha(value):\n    return value\n"})
    found = GitRepository.discover(repo.path)
    install(found, sys.executable)
    know(found)
    yield repo
    stop_worker(found.state_dir)


def interpreter(repo: GitRepo, line: str) -> None:
    """Run the worker by a script of this one line."""
    state = GitRepository.discover(repo.path).state_dir
    script = repo.path.parent / "strange python"
    script.write_text(f"#!/bin/sh\n{line}\n")
    script.chmod(0o755)
    (state / "python").write_text(f"{script}\n")


def commits(silent, repo: GitRepo, word: str = "fresh") -> None:
    """Two operations, each silent, successful and quick."""
    repo.write({f"src/{word}.py": f"def {word}(value):\n    return alpha(value)\n"})
    silent(repo, "add", "-A")
    silent(repo, "commit", "-q", "-m", "x")
    silent(repo, "switch", "-q", "-c", f"{word}-branch")


def mended(repo: GitRepo) -> None:
    """The next event brings everything level, and nothing is left to report. A starter of the
    broken kind may still be about to fail on a busy machine: then it is the event after that."""
    found = GitRepository.discover(repo.path)
    install(found, sys.executable)
    spool = Spool(found.state_dir)
    for _ in range(3):
        repo.git("commit", "-q", "--allow-empty", "-m", "mended")
        settle(found.state_dir)
        if not spool.pending():
            break
    assert (spool.pending(), spool.set_aside()) == (0, [])
    assert_level(found)


@pytest.mark.parametrize(
    "line",
    [
        f'exec "{sys.executable}" -S "$@"',  # a Python that does not have the package
        "echo Traceback >&2; echo no module; exit 1",
        "kill -SEGV $$",
        "exec /nowhere/python",
        "sleep 60",
        "while :; do echo noise; echo noise >&2; done",
    ],
    ids=["package removed", "package broken", "crashes", "gone", "hangs", "noisy"],
)
def test_whatever_the_interpreter_does(site, silent, line):
    interpreter(site, line)
    begun = time.monotonic()
    commits(silent, site)
    assert time.monotonic() - begun < 45  # less than the sleep, however busy the machine is
    found = GitRepository.discover(site.path)
    assert Spool(found.state_dir).pending() > 0
    pid = worker_starting(found.state_dir)
    if pid:
        os.kill(pid, 9)
    mended(site)


def break_database(state: Path) -> None:
    path = state / DATABASE_NAME
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(b"SQLite format 3\0" + b"rubbish " * 1000)


def test_a_corrupt_database_is_reported_and_mended_by_one_command(site, silent):
    found = GitRepository.discover(site.path)
    break_database(found.state_dir)
    commits(silent, site)
    settle(found.state_dir)
    given_up = Spool(found.state_dir).set_aside()
    assert {entry.kind for entry in given_up} == {"sync", "mine", "refresh"}
    assert all("git copilot index --rebuild" in entry.error for entry in given_up)
    Copilot(site.path).ok("index", "--rebuild")
    settle(found.state_dir)
    assert (Spool(found.state_dir).pending(), Spool(found.state_dir).set_aside()) == (0, [])
    assert_level(found)


def test_a_locked_database_holds_up_nobody_and_is_waited_for(site, silent):
    found = GitRepository.discover(site.path)
    holder = sqlite3.connect(found.state_dir / DATABASE_NAME, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    commits(silent, site)
    while worker_alive(found.state_dir) is None:
        time.sleep(0.02)
    holder.execute("ROLLBACK")
    holder.close()
    settle(found.state_dir)
    assert (Spool(found.state_dir).pending(), Spool(found.state_dir).set_aside()) == (0, [])
    assert_level(found)


def test_a_full_disk_under_the_shim(site, silent):
    """``/dev/full`` answers every write as a full disk does."""
    found = GitRepository.discover(site.path)
    (found.state_dir / "spool/events").symlink_to("/dev/full")
    commits(silent, site)
    settle(found.state_dir)
    (found.state_dir / "spool/events").unlink(missing_ok=True)
    mended(site)


@pytest.mark.parametrize("blocks", [0, 50])
def test_a_full_disk_under_the_worker(site, silent, blocks):
    """No file may grow beyond so many blocks of 512 bytes: the queue, or only the database."""
    found = GitRepository.discover(site.path)
    interpreter(site, f'ulimit -f {blocks}; exec "{sys.executable}" "$@"')
    commits(silent, site)
    settle(found.state_dir)
    assert Spool(found.state_dir).pending() or Spool(found.state_dir).set_aside()
    mended(site)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB, where the tests may mount one."""
    place = tmp_path / "small disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_state_folder_on_another_disk_that_is_full_or_read_only(
    small_disk, site, silent, trouble
):
    found = GitRepository.discover(site.path)
    shutil.copytree(found.state_dir, small_disk, dirs_exist_ok=True)
    shutil.rmtree(found.state_dir)
    found.state_dir.symlink_to(small_disk)
    if trouble == "full":
        with contextlib.suppress(OSError), (small_disk / "ballast").open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    commits(silent, site)
    settle(found.state_dir)
    worker = [sys.executable, "-P", "-m", WORKER_MODULE, str(found.state_dir)]
    done = subprocess.run(worker, capture_output=True, check=False)
    assert (done.returncode in (0, 1), done.stdout, done.stderr) == (True, b"", b"")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    (small_disk / "ballast").unlink(missing_ok=True)
    mended(site)


@pytest.fixture
def outsider(tiny_embedder):
    """Runs git as a user who may not do everything, and gives a place where that user works."""
    base = Path(tempfile.mkdtemp(prefix="outsider ü "))
    base.chmod(0o755)
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}

    def run(cwd: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
        env = {**os.environ, "HOME": str(base), "GIT_CONFIG_GLOBAL": os.devnull}
        env.pop("XDG_CONFIG_HOME")
        env.pop("GIT_COPILOT_CACHE")
        return subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=30,
            check=False, **who,
        )  # fmt: skip

    yield base, run
    shutil.rmtree(base)


@pytest.mark.parametrize("protected", ["state", "spool", "events", "everything"])
def test_a_state_folder_that_may_not_be_written(outsider, protected):
    base, run = outsider
    repo = GitRepo.init(base / "repo")
    repo.commit({"a.py": "alpha = 1\n"})
    found = GitRepository.discover(repo.path)
    python = base / "python"
    python.write_text("#!/bin/sh\nexit 0\n")
    python.chmod(0o755)
    install(found, str(python))
    (found.state_dir / "spool/events").touch()
    state = found.state_dir
    if os.getuid() == 0:
        for path in (repo.path, *repo.path.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    places = {
        "state": [state], "spool": [state / "spool"], "events": [state / "spool/events"],
        "everything": [state, state / "spool", state / "spool/events", state / "python"],
    }  # fmt: skip
    for place in places[protected]:
        if os.getuid() == 0:
            os.chown(place, 0, 0)
        place.chmod(0o555 if place.is_dir() else 0o444)
    (base / "repo/a.py").chmod(0o666)
    (base / "repo/a.py").write_text("alpha = 2\n")
    for command in (["commit", "-q", "-a", "-m", "x"], ["switch", "-q", "-c", "other"]):
        done = run(repo.path, "git", *command)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for place in places[protected]:
        place.chmod(0o755)


def test_a_repository_that_moves_while_events_wait(site, silent):
    interpreter(site, "exit 0")
    commits(silent, site)
    found = GitRepository.discover(site.path)
    # Half of it is queued already, by a worker that was killed then.
    Spool(found.state_dir).collect()
    site.git("commit", "-q", "--allow-empty", "-m", "one more")
    there = site.path.parent / "a new\nplace"
    site.path.rename(there)
    moved = GitRepo(there)
    found = GitRepository.discover(there)
    install(found, sys.executable)
    assert start_worker(found.state_dir)
    settle(found.state_dir)
    assert Spool(found.state_dir).pending() == 0
    assert_level(found)
    commits(silent, moved, "again")
    settle(found.state_dir)
    assert_level(found)


@pytest.mark.parametrize(
    "name", ["with spacé", "new\nline", "-rf", os.fsdecode(b"latin-\xe9"), "'q\"\\%s\t$(touch x)"]
)
def test_any_path_of_the_repository_and_its_worktree(tiny_embedder, silent, tmp_path, name):
    repo = GitRepo.init(tmp_path / name)
    repo.commit({"a.py": "alpha = 1\n"})
    found = GitRepository.discover(repo.path)
    install(found, sys.executable)
    repo.git("worktree", "add", "-q", "-b", "side", str(tmp_path / f"{name} 2"))
    commits(silent, repo)
    second = GitRepo(tmp_path / f"{name} 2")
    silent(second, "commit", "-q", "--allow-empty", "-m", "x")
    second.commit({"b.py": "beta = alpha\n"})
    settle(found.state_dir)
    assert (Spool(found.state_dir).pending(), Spool(found.state_dir).set_aside()) == (0, [])
    assert_level(found)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[:4] != "cach") == sorted(
        [name, f"{name} 2"]
    )


def test_a_pipe_that_a_program_waits_on_ends_while_the_worker_works(site):
    interpreter(site, "sleep 30")
    begun = time.monotonic()
    done = subprocess.run(
        ["sh", "-c", "git commit --allow-empty -m x 2>&1 | cat; git switch -c y 2>&1 | cat"],
        cwd=site.path, capture_output=True, timeout=25, check=False,
    )  # fmt: skip
    assert time.monotonic() - begun < 25  # less than the sleep
    assert b"copilot" not in done.stdout.replace(site.path.name.encode(), b"")
    pid = worker_starting(GitRepository.discover(site.path).state_dir)
    assert pid is not None
    os.kill(pid, 9)


def test_almost_no_environment_and_closed_streams(site):
    done = subprocess.run(
        ["env", "-i", "PATH=/usr/bin:/bin", f"HOME={os.environ['HOME']}", "sh", "-c",
         "exec git -c user.name=a -c user.email=b commit -q --allow-empty -m x <&- >&-"],
        cwd=site.path, stderr=subprocess.PIPE, timeout=20, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    settle(GitRepository.discover(site.path).state_dir)
    mended(site)


def test_a_state_folder_that_is_deleted_under_the_worker(site, silent):
    found = GitRepository.discover(site.path)
    interpreter(site, f'sleep 0.2; exec "{sys.executable}" "$@"')
    commits(silent, site)
    shutil.rmtree(found.state_dir)
    commits(silent, site, "later")
    assert not (found.state_dir / "spool").exists()
    mended(site)
