"""A repository that somebody else made is harmless: whatever command of ours is run in it, no
program but git and ours runs, nobody is called, and nothing outside our state folder is written."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.hostile import shapes_config, shapes_layout, shapes_state
from tests.hostile.place import SECRET, Place
from tests.hostile.supervise import Deeds, Said, Supervisor, strace
from tests.support.gitrepo import GitRepo

SHAPES = {**shapes_config.SHAPES, **shapes_layout.SHAPES, **shapes_state.SHAPES}
COMPLETE = ["complete", "--max-tokens", "2"]
READ = [
    ["status", "--json"],
    ["search", "alpha value", "--json"],
    [*COMPLETE, "src/app.py:2", "--explain"],
    [*COMPLETE, "src/util.py:2", "--stdin", "--json"],
    [*COMPLETE, "src/deep/er/app.py:2", "--explain"],
    [*COMPLETE, "out.py:1", "--explain"],
    [*COMPLETE, "lib/secret.py:2", "--explain"],
    [*COMPLETE, "fifo.py:1"],
    ["doctor"],
    ["config"],
    ["corpus"],
    ["secrets"],
    ["secrets", "--uncommitted"],
    ["hooks", "status"],
    ["index", "--why", "src/app.py"],
    ["completion", "bash"],
    ["forget", "--dry-run", "src"],
    ["adapter", "list"],
    ["feedback"],
    ["stats"],
]
WRITE = [
    ["init"],
    ["index", "--rebuild"],
    ["secrets", "allow", "src/app.py:1"],
    ["config", "snippets", "3"],
    [*COMPLETE, "src/app.py:2", "--at", "HEAD"],
    [*COMPLETE, "out.py:1", "--write"],
    [*COMPLETE, "lib/secret.py:2", "--write"],
    ["corpus", "sample"],
    ["index", "gc"],
    ["refresh", "--minutes", "1"],
    ["eval"],
    ["uninstall"],
]
COMMANDS = [*READ, *WRITE[:1], *READ, *WRITE[1:]]
EXPECTED_CODES = {0, 1, 2, 4}
# In these the imports themselves are what could go wrong.
COLD = {"modules of our imports' names"}
# Hooks and settings are what these are for.
GIT_FILES = {
    # A state folder that is not known to be the user's is moved aside.
    "init": ("hooks", "config", "config.lock", "info", "copilot.aside"),
    "uninstall": ("hooks",),
    "config": ("config", "config.lock"),
}
# Who waits for git alone waits half a minute there (test_worktree_late.py).
WITH_PIPES = {"pipes and sockets", "configured files that are pipes"}
# By `init` the user makes the configuration of these count, which it prints: nothing is to be
# reached before.
UNTIL_KNOWN = {"endpoint", "model and embedder of the clone"}


@pytest.fixture(scope="session")
def template(tmp_path_factory, tiny_folders):
    """An ordinary history, to be copied and made hostile."""
    return tmp_path_factory.mktemp("template") / "clone"


@pytest.fixture(scope="session")
def supervisor(tmp_path_factory):
    """One for all repositories of this test process: importing torch takes longer than a test."""
    watching = Supervisor(tmp_path_factory.mktemp("supervisor"))
    yield watching
    watching.close()


@pytest.fixture
def listener():
    """A port on which somebody waits for calls; ``accept`` would say of one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server


@pytest.fixture
def place(environment, template, tmp_path, listener):
    if not template.exists():
        repo = GitRepo.init(template)
        repo.commit(
            {"src/util.py": "def alpha(value):\n    return value + 1\n", "README.md": "hi\n"}
        )
        repo.commit(
            {"src/app.py": "from util import alpha\n\n\ndef beta(name):\n    return name\n"}
        )
    shutil.copytree(template, tmp_path / "clone")
    return Place.make(GitRepo(tmp_path / "clone"), tmp_path, listener.getsockname()[1])


def programs_allowed() -> set[str]:
    """Names of programs that may run: git and what it is made of, the interpreter, its shell."""
    return {"git", "python", "python3", "sh", "nice", "ldconfig", "uname"}


def foreign_programs(deeds: Deeds) -> list[str]:
    allowed = programs_allowed()
    return [
        program
        for program in deeds.programs
        if Path(program).name.split("3.")[0] not in allowed
        and not Path(program).name.startswith("git")
    ]


def foreign_writes(command: list[str], deeds: Deeds, place: Place, work: Path) -> list[str]:
    """Writes that are neither in our state folder nor in a folder of the user's own."""
    git_dir = place.path / ".git"
    own = [git_dir / "copilot", work, place.folder.parent]
    own += [git_dir / name for name in GIT_FILES.get(command[0], ())]
    hostile = [place.path, place.outside]
    found = []
    for name in deeds.written:
        path = Path(name)
        if name.startswith(("/dev/", "/proc/")) or any(path.is_relative_to(o) for o in own[:2]):
            continue
        inside = any(path.is_relative_to(h) for h in hostile)
        if (inside and not any(path.is_relative_to(o) for o in own[3:])) or (
            not inside and not _of_the_user(path)
        ):
            found.append(name)
    return found


def _of_the_user(path: Path) -> bool:
    """The user's own caches, logs and runtime folder, and the system's temporary folder."""
    homes = (os.environ["HOME"], os.environ["XDG_RUNTIME_DIR"], os.environ["GIT_COPILOT_CACHE"])
    # torch makes this folder when it is imported.
    return "/torchinductor_" in str(path) or any(path.is_relative_to(home) for home in homes)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", SHAPES)
def test_a_hostile_repository_runs_sends_and_writes_nothing(
    name, place, tmp_path, listener, supervisor
):
    SHAPES[name](place)
    place.traces.unlink(missing_ok=True)  # git itself ran while the repository was built
    before = place.fingerprint()
    work = tmp_path / "work"
    work.mkdir()
    watching = Supervisor(tmp_path, cold=True) if name in COLD else supervisor
    commands = READ if name in UNTIL_KNOWN else COMMANDS
    if name in WITH_PIPES:
        commands = [c for c in commands if "--uncommitted" not in c]
    said, deeds = watching.run(commands, place.path, work)
    assert place.ran() == ""
    with pytest.raises(TimeoutError):
        listener.accept()
    assert place.fingerprint() == before
    for each, done in zip(said, deeds, strict=True):
        assert each.code in EXPECTED_CODES, each
        assert "Traceback" not in each.stderr
        assert foreign_programs(done) == [], each.argv
        assert not [a for a in done.addresses if "AF_INET" in a], each.argv
        assert foreign_writes(each.argv, done, place, work) == [], each.argv
    assert_nothing_of_outside_is_shown(said)


def assert_nothing_of_outside_is_shown(said: list[Said]) -> None:
    for each in said:
        assert SECRET.split("(")[0] not in each.stdout + each.stderr, each.argv


def test_every_class_of_hostile_repository_is_covered():
    assert len(SHAPES) >= 40


def test_an_ordinary_repository_answers_all_commands(place, tmp_path, supervisor):
    """What is refused in hostile repositories works in the one they were made from."""
    work = tmp_path / "work"
    work.mkdir()
    said, deeds = supervisor.run(COMMANDS, place.path, work)
    codes = {" ".join(s.argv): s.code for s in said[len(READ) :]}
    for command in ("init", "status --json", "doctor", "config", "index --rebuild"):
        assert codes[command] == 0, command
    assert codes["complete --max-tokens 2 src/app.py:2 --explain"] == 0
    hits = next(s for s in said[len(READ) :] if s.argv[0] == "search")
    assert json.loads(hits.stdout)["hits"]
    if strace():
        assert any(Path(p).name == "git" for d in deeds for p in d.programs)
