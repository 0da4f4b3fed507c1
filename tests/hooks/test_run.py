"""``git-copilot-hook`` records which hook fired; errors never reach git."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from git_copilot.hooks import run
from git_copilot.hooks.events import decode_all
from tests.support.commands import ROOT, SCRIPT

FIRINGS = (
    ("argv", "env", "expected"),
    [
        ([], {}, ("post-commit", ())),
        (["--stage", "post-merge"], {}, ("post-merge", ("0",))),
        (["--stage=post-rewrite", "amend"], {}, ("post-rewrite", ("amend",))),
        (["--stage", "nonsense"], {}, ("post-commit", ())),
        ([], {"PRE_COMMIT_IS_SQUASH_MERGE": "1"}, ("post-merge", ("1",))),
        ([], {"PRE_COMMIT_REWRITE_COMMAND": "rebase"}, ("post-rewrite", ("rebase",))),
        (
            [],
            {"PRE_COMMIT_CHECKOUT_TYPE": "1", "PRE_COMMIT_FROM_REF": "a", "PRE_COMMIT_TO_REF": "b"},
            ("post-checkout", ("a", "b", "1")),
        ),
        ([], {"PRE_COMMIT_CHECKOUT_TYPE": "0", "PRE_COMMIT_FROM_REF": "a"}, None),
        (["--stage=post-checkout", "a", "b", "0"], {}, None),
        (["--stage=post-checkout", "a", "b", "1"], {}, ("post-checkout", ("a", "b", "1"))),
    ],
)


@pytest.mark.parametrize(*FIRINGS)
def test_the_event_is_read_from_option_or_environment(argv, env, expected):
    assert run.identify_event(argv, env) == expected


@pytest.fixture
def script(monkeypatch):
    """Runs the console script as pre-commit does: silent and successful, whatever happens."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / ".dev"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    def call(cwd: Path, *argv: str, **env: str) -> None:
        done = subprocess.run(
            [SCRIPT, *argv], cwd=cwd, env={**os.environ, **env}, capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    return call


@pytest.fixture
def base_install_python(script, tmp_path, monkeypatch):
    """A Python with the base install only, as in pre-commit's own environment."""
    python = tmp_path / "light/python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{python.parent}:{os.environ['PATH']}")


def spooled(stub_worker) -> list[tuple[str, tuple[str, ...]]]:
    path = stub_worker.state / "spool/events"
    data = path.read_bytes() if path.exists() else b""
    return [
        (event.kind, event.args) for event in decode_all(data, str(stub_worker.repo.git_dir))[0]
    ]


@pytest.mark.parametrize("known", [True, False], ids=["initialised", "unknown"])
@pytest.mark.parametrize(*FIRINGS)
def test_the_shell_script_records_the_same_event_as_python(
    stub_worker, script, base_install_python, argv, env, expected, known
):
    """By the shim where there is one, else by Python: the spool gets the same."""
    if known:
        stub_worker.install()
        stub_worker.interpreter.write_text("#!/bin/sh\n")
    script(stub_worker.repo.path, *argv, **env)
    assert spooled(stub_worker) == ([expected] if expected else [])
    assert known or not (stub_worker.state / "python").exists()


def test_where_the_shim_is_installed_the_script_starts_no_python(stub_worker, script, tmp_path):
    stub_worker.install()
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "nice", "find", "git"):
        (tools / tool).symlink_to(shutil.which(tool))
    script(stub_worker.repo.path, PATH=str(tools))
    stub_worker.wait_until_idle()
    assert [job["kind"] for job in stub_worker.jobs()] == ["sync", "mine", "refresh"]


def test_the_script_reports_a_linked_worktree_and_a_submodule_as_themselves(
    stub_worker, script, tmp_path
):
    stub_worker.install()
    stub_worker.interpreter.write_text("#!/bin/sh\n")
    stub_worker.repo.git(
        "worktree", "add", "-q", "--detach", "--no-checkout", str(tmp_path / "trée")
    )
    script(tmp_path / "trée")
    script(tmp_path / "trée", GIT_DIR=str(stub_worker.repo.git_dir / "worktrees/trée"))
    assert (stub_worker.state / "spool/events").read_bytes().split(b"\t")[2::3] == [
        "worktrees/trée".encode(), "worktrees/trée".encode()
    ]  # fmt: skip


@pytest.mark.parametrize("where", ["outside", "no python", "linked"])
def test_the_script_tolerates_broken_installations(
    stub_worker, script, base_install_python, tmp_path, where
):
    if where == "outside":
        script(tmp_path)
    elif where == "no python":
        script(stub_worker.repo.path, PATH="/nowhere")
    else:
        (tmp_path / "bin").mkdir()
        link = tmp_path / "bin/git-copilot-hook"
        link.symlink_to(os.path.relpath(SCRIPT, link.parent))
        subprocess.run([link], cwd=stub_worker.repo.path, check=True)
        assert spooled(stub_worker) == [("post-commit", ())]


def test_other_subcommands_pass_through_pythons_output_and_exit_code(script, tmp_path):
    """What checks a commit must be able to refuse it."""
    stand_in = tmp_path / "bin/python3"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\necho "$*"\nexit 7\n')
    stand_in.chmod(0o755)
    done = subprocess.run(
        [SCRIPT, "--stage", "pre-commit", "a b"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PATH": f"{stand_in.parent}:/usr/bin:/bin"}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == "-P -m git_copilot.hooks.run --stage pre-commit a b\n"


def test_the_hook_imports_only_the_standard_library():
    script = (
        "import sys; before = set(sys.modules); import git_copilot.hooks.run\n"
        "print(*{m.partition('.')[0] for m in set(sys.modules) - before}\n"
        "      - set(sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["git_copilot"]


def test_the_hook_records_the_event_and_wakes_the_worker(stub_worker, monkeypatch, capfd):
    stub_worker.install()
    monkeypatch.chdir(stub_worker.repo.path)
    monkeypatch.setenv("GIT_DIR", ".git")
    assert run.main([]) == 0
    stub_worker.wait_until_idle()
    assert [job["kind"] for job in stub_worker.jobs()] == ["sync", "mine", "refresh"]
    assert capfd.readouterr() == ("", "")


def test_a_capable_interpreter_records_itself_when_none_is_recorded(stub_worker, monkeypatch):
    monkeypatch.chdir(stub_worker.repo.path)
    monkeypatch.setattr(run, "start_worker", lambda _state: False)
    monkeypatch.setattr(run, "_has_worker_packages", lambda: False)
    assert run.main(["--stage", "post-merge"]) == 0
    assert not (stub_worker.state / "python").exists()
    assert stub_worker.spool.pending() == 1
    monkeypatch.setattr(run, "_has_worker_packages", lambda: True)
    assert run.main([]) == 0
    assert (stub_worker.state / "python").read_text() == f"{sys.executable}\n"
    (stub_worker.state / "python").write_text(
        f"{stub_worker.interpreter}\n"
    )  # what is recorded and runs, stays
    run.main([])
    assert (stub_worker.state / "python").read_text() == f"{stub_worker.interpreter}\n"


@pytest.mark.parametrize("trouble", ["no repository", "no git", "state is a file"])
def test_errors_never_reach_git(stub_worker, monkeypatch, capfd, tmp_path, trouble):
    monkeypatch.chdir(tmp_path if trouble == "no repository" else stub_worker.repo.path)
    if trouble == "no git":
        monkeypatch.setenv("PATH", "/nowhere")
    if trouble == "state is a file":
        stub_worker.state.write_text("")
    assert run.main([]) == 0
    assert capfd.readouterr() == ("", "")
    assert stub_worker.spool.pending() == 0


def test_a_newline_in_the_path_creates_nothing_elsewhere(stub_worker, monkeypatch):
    odd = stub_worker.repo.path.parent / "a\nb"
    repo = type(stub_worker.repo).init(odd)
    monkeypatch.chdir(odd)
    monkeypatch.setattr(run, "start_worker", lambda _state: False)
    run.main([])
    assert (repo.path / ".git/copilot/spool/events").exists()
    assert sorted(path.name for path in odd.iterdir()) == [".git"]


def test_the_command_that_the_manifest_names_is_the_script():
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert configuration["tool"]["setuptools"]["script-files"] == [str(SCRIPT.relative_to(ROOT))]
    assert SCRIPT.name not in configuration["project"]["scripts"]
    assert SCRIPT.read_text().startswith("#!/bin/sh\n")
    assert os.access(SCRIPT, os.X_OK)
