"""The pre-commit framework runs our hooks where it is told to, and stays unchanged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

import pytest

from git_copilot.hooks.install import install, uninstall
from git_copilot.hooks.sources import installed_hooks
from git_copilot.index.git.repository import GitRepository
from tests.support.commands import ROOT, SCRIPT

pytestmark = pytest.mark.e2e

PYTHON = f"{sys.executable} -m git_copilot.hooks.run"
STAGES = ("post-commit", "post-merge", "post-checkout", "post-rewrite")
CONFIG = """\
repos:
- repo: local
  hooks:
  - id: {id}
    name: git-copilot sync
    entry: {entry}
    language: system
    always_run: true
    pass_filenames: false
    require_serial: true
    stages: [post-commit, post-merge, post-checkout, post-rewrite]
"""


@pytest.fixture(params=[PYTHON, str(SCRIPT)], ids=["python", "script"])
def pre_commit_repo(request, stub_worker, hermetic, monkeypatch):
    """A repository where pre-commit runs `copilot-sync` in every stage."""
    pytest.importorskip("pre_commit")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(hermetic / "pre-commit"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / ".dev"))
    stub_worker.repo.commit(
        {".pre-commit-config.yaml": CONFIG.format(id="copilot-sync", entry=request.param)}
    )
    stages = [flag for stage in STAGES for flag in ("-t", stage)]
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "install", *stages],
        cwd=stub_worker.repo.path, check=True, capture_output=True,
    )  # fmt: skip
    return stub_worker


def test_hooks_that_pre_commit_runs_for_us_are_left_to_it(pre_commit_repo):
    stub_worker, found = pre_commit_repo, GitRepository.discover(pre_commit_repo.repo.path)
    before = {p.name: p.read_bytes() for p in (stub_worker.repo.git_dir / "hooks").iterdir()}
    report = stub_worker.install()
    assert "managed by pre-commit" in report.notes[0]
    assert {
        p.name: p.read_bytes() for p in (stub_worker.repo.git_dir / "hooks").iterdir()
    } == before
    status = installed_hooks(found)
    assert (status.installed, status.via) == (list(STAGES), "pre-commit")
    stub_worker.repo.commit({"b": "b"})
    stub_worker.wait_until_idle()
    assert stub_worker.jobs(kind="sync")[-1]["head"] == stub_worker.repo.git("rev-parse", "HEAD")
    count = len(stub_worker.jobs(kind="sync"))
    stub_worker.repo.git("switch", "-q", "-c", "topic")
    stub_worker.wait_until_idle()
    assert len(stub_worker.jobs(kind="sync")) == count + 1
    assert ".pre-commit-config.yaml" in uninstall(found).notes[-1]


def test_without_our_ids_pre_commits_hook_is_wrapped_and_still_runs(pre_commit_repo):
    stub_worker, found = pre_commit_repo, GitRepository.discover(pre_commit_repo.repo.path)
    config = CONFIG.format(id="other", entry="touch ran  # no id: copilot-sync here")
    stub_worker.repo.commit({".pre-commit-config.yaml": config})
    hook = stub_worker.repo.git_dir / "hooks/post-commit"
    before = hook.read_bytes()
    assert stub_worker.install().notes == ()
    assert (installed_hooks(found).via, hook.read_bytes() != before) == ("native", True)
    stub_worker.repo.commit({"b": "b"})
    stub_worker.wait_until_idle()
    assert len(stub_worker.jobs(kind="sync")) == 1
    assert (stub_worker.repo.path / "ran").exists()
    uninstall(found)
    assert hook.read_bytes() == before


def test_pre_commit_installed_after_us_keeps_our_hook(pre_commit_repo, tmp_path):
    stub_worker = pre_commit_repo
    repo = type(stub_worker.repo).init(tmp_path / "later")
    repo.commit({".pre-commit-config.yaml": "repos: []\n"})
    found = GitRepository.discover(repo.path)
    install(found, str(stub_worker.interpreter))
    command = [sys.executable, "-m", "pre_commit", "install", "-t", "post-commit"]
    subprocess.run(command, cwd=repo.path, check=True, capture_output=True)
    hooks = repo.git_dir / "hooks"
    assert (hooks / "post-commit.legacy").exists()
    after = (hooks / "post-commit").read_bytes()
    assert "post-commit" in installed_hooks(found).installed
    assert not install(found, str(stub_worker.interpreter)).changed
    (found.state_dir / "behave.json").write_text("{}")
    stub_worker.interpreter.write_text("#!/bin/sh\nexit 0\n")
    repo.commit({"b": "b"})
    assert (found.state_dir / "spool/events").read_text() == "post-commit\t-\t.\t\n"
    uninstall(found)
    assert (hooks / "post-commit").read_bytes() == after
    assert not (hooks / "post-commit.legacy").exists()


def test_the_manifest_is_valid_and_names_the_console_script():
    clientlib = pytest.importorskip("pre_commit.clientlib")
    manifest = {
        hook["id"]: hook for hook in clientlib.load_manifest(ROOT / ".pre-commit-hooks.yaml")
    }
    recording = ("copilot-refresh", "copilot-sync")
    assert set(recording) <= set(manifest)
    assert sorted(manifest["copilot-sync"]["stages"]) == sorted(STAGES)
    assert manifest["copilot-refresh"]["stages"] == ["post-merge"]
    for hook in (manifest[name] for name in recording):
        assert hook["entry"].split()[0] == "git-copilot-hook"
        assert (hook["always_run"], hook["pass_filenames"]) == (True, False)
    assert os.access(ROOT / "hooks/shim.sh", os.R_OK)


def readme_snippet():
    """What the README tells people to write, and the tag that it names."""
    text = (ROOT / "README.md").read_text("utf-8")
    snippet = re.search(r"```yaml\n(default_install_hook_types:.*?)```", text, re.DOTALL)[1]
    return text, snippet, re.search(r"^    rev: (\S+)$", snippet, re.MULTILINE)[1]


def test_the_tag_of_the_readme_exists_or_the_readme_says_how_to_make_it():
    text, _, rev = readme_snippet()
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert rev == f"v{version}"
    known = subprocess.run(["git", "tag", "--list", rev], cwd=ROOT, capture_output=True, text=True)
    assert known.stdout.strip() == rev or re.search(rf"git .*\btag {re.escape(rev)}\b", text)


def test_the_readme_snippet_installs_from_a_clone_with_its_tag(
    stub_worker, hermetic, tmp_path, monkeypatch
):
    pytest.importorskip("pre_commit")
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    _, snippet, rev = readme_snippet()
    clone = tmp_path / "copilot clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    subprocess.run(["git", "tag", rev], cwd=clone, check=True)
    # No index is asked: what the shell script needs is the interpreter that `init` recorded, and the
    # hook that looks for secrets brings a package of its own.
    for name, value in {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0",
                        "VIRTUALENV_SETUPTOOLS": "bundle"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PRE_COMMIT_HOME", str(hermetic / "pre-commit"))
    snippet = re.sub(r"repo: \S+", f"repo: {clone}", snippet)
    snippet = re.sub(
        r"      - id: copilot-secrets.*?(?=      - id: )", "", snippet, flags=re.DOTALL
    )
    assert stub_worker.install().hooks  # as `init` records the interpreter
    uninstall(GitRepository.discover(stub_worker.repo.path))
    stub_worker.repo.commit({".pre-commit-config.yaml": snippet})
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "install", "--install-hooks"],
        cwd=stub_worker.repo.path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    stub_worker.install()
    assert installed_hooks(GitRepository.discover(stub_worker.repo.path)).via == "pre-commit"
    stub_worker.repo.commit({"b": "b"})
    stub_worker.wait_until_idle()
    assert stub_worker.jobs(kind="sync")[-1]["head"] == stub_worker.repo.git("rev-parse", "HEAD")
