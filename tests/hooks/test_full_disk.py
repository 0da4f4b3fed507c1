"""`git commit` never fails, waits or prints because a disk is full or read-only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from git_copilot.hooks.install import install
from git_copilot.hooks.launch import WORKER_MODULE
from git_copilot.hooks.spool import Spool
from git_copilot.index.git.repository import GitRepository
from tests.support.gitrepo import GitRepo
from tests.support.worker_failures import (
    assert_recovers,
    commit_and_switch,
    use_interpreter,
    wait_for_worker,
)

pytestmark = pytest.mark.e2e

NOBODY = 65534


def test_git_is_unaffected_by_a_full_disk_under_the_shim(indexed_repo, git_silently):
    """``/dev/full`` answers every write as a full disk does."""
    found = GitRepository.discover(indexed_repo.path)
    (found.state_dir / "spool/events").symlink_to("/dev/full")
    commit_and_switch(git_silently, indexed_repo)
    wait_for_worker(found.state_dir)
    (found.state_dir / "spool/events").unlink(missing_ok=True)
    assert_recovers(indexed_repo)


@pytest.mark.parametrize("blocks", [0, 50])
def test_the_worker_recovers_from_a_full_disk(indexed_repo, git_silently, blocks):
    """No file may grow beyond so many blocks of 512 bytes: the queue, or only the database."""
    found = GitRepository.discover(indexed_repo.path)
    use_interpreter(indexed_repo, f'ulimit -f {blocks}; exec "{sys.executable}" "$@"')
    commit_and_switch(git_silently, indexed_repo)
    wait_for_worker(found.state_dir)
    assert Spool(found.state_dir).pending() or Spool(found.state_dir).set_aside()
    assert_recovers(indexed_repo)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KiB, where the tests may mount one: room for a small database twice, in
    its file and in its log."""
    place = tmp_path / "small disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_state_folder_on_a_full_or_read_only_disk_is_harmless(
    small_disk, indexed_repo, git_silently, trouble
):
    found = GitRepository.discover(indexed_repo.path)
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
    commit_and_switch(git_silently, indexed_repo)
    wait_for_worker(found.state_dir)
    worker = [sys.executable, "-P", "-m", WORKER_MODULE, str(found.state_dir)]
    done = subprocess.run(worker, capture_output=True, check=False)
    assert (done.returncode in (0, 1), done.stdout, done.stderr) == (True, b"", b"")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    (small_disk / "ballast").unlink(missing_ok=True)
    assert_recovers(indexed_repo)


@pytest.fixture
def unprivileged_git(tiny_embedder):
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
def test_a_state_folder_without_write_permission_is_harmless(unprivileged_git, protected):
    base, run = unprivileged_git
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
