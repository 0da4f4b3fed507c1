"""`git copilot forget`, and secrets, as a user sees them."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from git_copilot.assistant.cli.commands import forget
from git_copilot.assistant.evaluation import eval_run
from git_copilot.assistant.refresh import run_state
from tests.support.commands import Copilot

PASSWORD = "Tr0ub4dor" + "Zebra7"
ADAPTER = "20260102-030405-ab12"


@pytest.fixture
def state(copilot, project):
    return project.git_dir / "copilot"


def stored(state):
    return b"\0".join(p.read_bytes() for p in sorted(state.rglob("*")) if p.is_file())


def found(copilot, word):
    return [h["path"] for h in copilot.json("search", word)["hits"]]


def problem(done, code, *words):
    """One line on stderr, nothing on stdout."""
    text = done.stderr.decode()
    assert (done.returncode, done.stdout, text.count("\n")) == (code, b"", 1), text
    assert text.startswith("git-copilot: ") and "Traceback" not in text
    for word in words:
        assert word in text, text


def add_adapter(state, commits):
    """Add a complete adapter in use whose provenance names ``commits``."""
    folder = state / "adapters" / ADAPTER
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (folder / "evidence.json").write_text(json.dumps({"base_model": "m", "promoted": True}))
    (folder / "commits.txt").write_text("".join(f"{oid}\n" for oid in commits))
    (state / "adapters/current").write_text(f"{ADAPTER}\n")


def test_a_path_is_forgotten_and_allowed_again(copilot, project, state):
    before = copilot.json("status")
    holes = copilot.json("corpus")["holes"]
    assert b"def alpha(value)" in stored(state)
    dry = copilot.json("forget", "src/util.py", "--dry-run")
    assert dry["dry_run"] and copilot.json("status") == before
    done = copilot.json("forget", "src/util.py")
    assert {**done, "dry_run": True} == dry
    assert (done["kind"], done["value"], done["files"], done["chunks"]) == (
        "path",
        "src/util.py",
        1,
        1,
    )
    assert (done["adapters"], done["mend"]) == ([], [])
    assert b"def alpha(value)" not in stored(state)
    assert "src/util.py" not in found(copilot, "alpha")
    project.commit({"src/util.py": "def alpha(value):\n    return value + 2\n"})
    copilot.ok("status", "--wait", "--timeout", "60")
    copilot.ok("index")
    assert "src/util.py" not in found(copilot, "alpha")
    assert copilot.json("status")["index"]["fresh"] is True
    assert "path    src/util.py" in copilot.ok("forget", "--list")
    assert copilot.json("forget", "--undo", "src/util.py")["chunks"] == 1
    assert "src/util.py" in found(copilot, "alpha")
    assert copilot.json("corpus")["holes"] >= holes
    assert copilot.json("forget", "--list") == {"forgotten": []}
    assert project.git("status", "--porcelain") == ""


def test_paths_are_relative_to_the_current_folder(copilot, project):
    below = Copilot(project.path / "src")
    assert below.json("forget", "util.py", "--dry-run")["value"] == "src/util.py"
    assert below.json("forget", "../README.md", "--dry-run")["value"] == "README.md"
    assert below.json("forget", ".", "--dry-run")["files"] == 2
    assert below.json("forget", "*.py", "--dry-run")["value"] == "src/*.py"
    assert copilot.json("forget", str(project.path / "src"), "--dry-run")["value"] == "src"


def test_names_that_look_like_globs_are_taken_literally(copilot, project):
    project.commit({"a[1].py": "x = 1\n", "a1.py": "y = 1\n"})
    copilot.ok("status", "--wait", "--timeout", "60")
    assert copilot.json("forget", "a[1].py")["files"] == 1
    assert copilot.json("status")["index"]["files"] == 4
    assert copilot.json("forget", "--undo", "a[1].py")["chunks"] == 1


def test_forgetting_a_commit_or_author_names_the_affected_adapters(copilot, project, state):
    first, second = project.git("rev-list", "--reverse", "HEAD").split()
    add_adapter(state, [second])
    assert copilot.json("forget", first, "--dry-run")["adapters"] == []
    done = copilot.json("forget", "HEAD")
    assert (done["kind"], done["value"], done["commits"], done["files"]) == ("commit", second, 1, 0)
    assert done["adapters"] == [{"id": ADAPTER, "current": True, "commits": 1}]
    assert done["mend"] == [f"git copilot adapter rm {ADAPTER}", "git copilot refresh"]
    for command in done["mend"]:
        assert Copilot(project.path).run(*command.split()[2:], "--help").returncode == 0
    said = copilot.ok("forget", "Ada Author")
    assert "forgot the author Ada Author" in said and "shows them as they are" in said
    assert f"adapter {ADAPTER} (in use) learnt from 1 of the commits" in said
    assert copilot.json("corpus")["holes"] == 0
    assert copilot.json("forget", "--undo", "ada author".title())["commits"] >= 1
    by_path = copilot.json("forget", "src/app.py", "--dry-run")
    assert [a["id"] for a in by_path["adapters"]] == [ADAPTER]
    assert copilot.ok("adapter", "rm", ADAPTER) == f"deleted {ADAPTER}, which was in use\n"
    assert copilot.json("adapter", "list") == []
    assert copilot.json("status")["adapters"] == {"current": None, "count": 0}


def test_an_adapter_without_provenance_is_named_too(copilot, state):
    add_adapter(state, [])
    assert copilot.json("forget", "README.md", "--dry-run")["adapters"][0]["commits"] is None
    assert "does not say what it learnt from" in copilot.ok("forget", "README.md")


def test_an_ambiguous_argument_must_be_disambiguated(copilot, project):
    project.git("branch", "src")
    problem(copilot.run("forget", "src"), 1, "'src' is a path and a commit", "--path")
    assert copilot.json("forget", "--path", "src", "--dry-run")["kind"] == "path"
    assert copilot.json("forget", "--commit", "src", "--dry-run")["kind"] == "commit"


MISTAKES = (
    (["nowhere.py"], 1, ["no path, commit or author here"]),
    (["--path", "nowhere/*"], 1, ["is no path here"]),
    (["--commit", "src"], 1, ["is no commit here", "git log"]),
    (["--author", "Nobody"], 1, ["is no author here"]),
    (["--path", "../elsewhere"], 1, ["is outside"]),
    (["/etc/passwd"], 1, ["no path, commit or author here"]),
    (["."], 1, ["the whole repository", "uninstall --purge"]),
    ([""], 1, ["the whole repository"]),
    (["--undo", "src"], 1, ["is not forgotten", "--list"]),
    ([], 2, ["PATH, COMMIT or AUTHOR"]),
    (["--list", "src"], 2, ["--list alone"]),
    (["--undo", "--dry-run", "src"], 2, []),
)


def test_wrong_arguments_are_one_line_errors(copilot):
    for args, code, words in MISTAKES:
        problem(copilot.run("forget", *args), code, *words)
    assert copilot.json("forget", "--list") == {"forgotten": []}


def test_forget_needs_an_initialised_repository(bare_commands, environment, repo):
    problem(Copilot(repo.path).run("forget", "x"), 1, "git copilot init")
    problem(bare_commands.run("forget", "x"), 1, "is not in a Git repository")


def test_forgetting_is_refused_during_a_refresh_and_removes_checkpoints(copilot, state):
    assert (forget.WORK, forget.LOCK) == ((run_state.WORK, eval_run.WORK), run_state.LOCK)
    folders = [state / "adapters" / name for name in forget.WORK]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "kept").write_bytes(b"learnt")
    with (state / "adapters" / run_state.LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        problem(copilot.run("forget", "src"), 1, "a refresh is running")
        assert all(folder.exists() for folder in folders)
    copilot.ok("forget", "src")
    assert not any(folder.exists() for folder in folders)


def test_a_rebuild_keeps_the_forgotten_list(copilot, state):
    copilot.ok("forget", "src/util.py")
    copilot.ok("index", "--rebuild")
    assert "src/util.py" in copilot.ok("forget", "--list")
    assert "src/util.py" not in found(copilot, "alpha")
    for path in state.glob("copilot.db*"):
        path.write_bytes(b"torn" * 1000)
    done = copilot.run("index", "--rebuild")
    assert done.returncode == 0 and b"cannot be read from the damaged database" in done.stderr
    assert copilot.json("forget", "--list") == {"forgotten": []}


def test_forgetting_stops_the_server_that_holds_the_data(copilot):
    copilot.ok("complete", "src/app.py:5")
    assert copilot.json("status")["server"]["running"]
    copilot.ok("forget", "src/util.py")
    snippets = copilot.json("complete", "src/app.py:5")["snippets"]
    assert "src/util.py" not in [s["path"] for s in snippets]


def test_secrets_are_counted_and_never_reach_a_prompt(copilot, project):
    project.commit(
        {
            "src/settings.py": f'def connect_database(user):\n    PASSWORD = "{PASSWORD}"\n    return user\n',
            "src/main.py": "from settings import connect_database\n\nbase = connect_database(\n\nx = 1\n",
        }
    )
    copilot.ok("status", "--wait", "--timeout", "60")
    assert copilot.json("status")["index"]["secrets"] == 1
    assert "secrets   1 lines excluded as possible secrets" in copilot.ok("status")
    answer = copilot.json("complete", "src/main.py:3", "--explain")
    assert "src/settings.py" in [s["path"] for s in answer["snippets"]]
    assert "connect_database(user)" in answer["explain"]["prompt"]
    assert PASSWORD not in json.dumps(answer)
    assert PASSWORD not in copilot.ok("search", "connect_database")
    assert PASSWORD.encode() not in stored(Path(project.git_dir) / "copilot")
