"""The doctor knows every way in which hooks can be installed, and what else they run."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from git_copilot.hooks import sources as sources_module
from git_copilot.hooks.events import HOOKS
from git_copilot.hooks.install import MANAGER_LINE, install
from git_copilot.index.git.repository import GitRepository

pytestmark = pytest.mark.e2e


def test_disabled_hooks_are_reported_once_without_contradicting_the_user(doctor_repo):
    doctor_repo.repo.git("config", "core.hooksPath", "/dev/null")
    found = doctor_repo.problems()
    assert [finding.check for finding in found] == ["hooks"] * 5
    assert "hooks are disabled" in found[0].message and "local configuration" in found[0].message
    assert {finding.mend for finding in found} == {""}


def test_husky_with_our_line_is_healthy(doctor_repo):
    for hook in HOOKS:
        doctor_repo.write_file(doctor_repo.repo.path / ".husky/_" / hook, "#!/bin/sh\n")
        doctor_repo.write_file(
            doctor_repo.repo.path / ".husky" / hook, f"{MANAGER_LINE}\nnpm test\n", 0o644
        )
    doctor_repo.repo.git("config", "core.hooksPath", ".husky/_")
    assert doctor_repo.problems() == []
    told = [finding.message for finding in doctor_repo.examine() if finding.check == "hooks"]
    assert "husky's" in told[0]
    assert told[1] == "post-commit: manager (.husky/post-commit), beside husky"
    (doctor_repo.state / "hook.sh").unlink()
    assert [(f.check, f.level) for f in doctor_repo.problems()] == [("shims", "fail")]


def test_hooks_in_git_configuration_are_healthy(doctor_repo, monkeypatch):
    doctor_repo.repo.git("config", "core.hooksPath", ".husky/_")
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (2, 0))
    assert {f.mend for f in doctor_repo.problems()} == {"git copilot install"}
    install(doctor_repo.found, sys.executable)
    assert doctor_repo.problems() == []
    told = [finding.message for finding in doctor_repo.examine() if finding.check == "hooks"]
    assert told[1] == "post-commit: config (hook.git-copilot-post-commit)"
    doctor_repo.repo.git("config", "hook.git-copilot-post-merge.enabled", "false")
    (found,) = doctor_repo.problems()
    assert "post-merge: does not run git-copilot" in found.message
    monkeypatch.setattr(sources_module, "CONFIG_HOOKS_SINCE", (9, 0))
    assert len(
        [f for f in doctor_repo.problems() if "does not run git-copilot" in f.message]
    ) == len(HOOKS)


def test_other_hooks_that_run_beside_ours_are_named(doctor_repo):
    doctor_repo.write_file(doctor_repo.hooks / "post-commit", "#!/bin/sh\necho mine\n")
    (doctor_repo.hooks / "post-merge").unlink()
    doctor_repo.write_file(doctor_repo.hooks / "post-merge", "#!/usr/bin/env python3\n")
    install(doctor_repo.found, sys.executable)
    told = {
        f.message.partition(":")[0]: f.message for f in doctor_repo.examine() if f.check == "hooks"
    }
    assert told["post-commit"].endswith("beside your own lines there")
    assert told["post-merge"].endswith("beside post-merge.copilot-original")
    assert "beside" not in told["post-rewrite"]


def test_an_installed_pre_commit_is_healthy(doctor_repo, hermetic, monkeypatch):
    pytest.importorskip("pre_commit")
    monkeypatch.setenv("PRE_COMMIT_HOME", str(hermetic / "pre-commit"))
    shutil.rmtree(doctor_repo.hooks)
    doctor_repo.write_file(
        doctor_repo.repo.path / ".pre-commit-config.yaml",
        "repos:\n- repo: local\n  hooks:\n  - id: copilot-sync\n    name: x\n    entry: true\n"
        f"    language: system\n    stages: [{', '.join(HOOKS)}]\n",
        0o644,
    )
    (found,) = [finding for finding in doctor_repo.problems() if finding.check == "pre-commit"]
    words = found.mend.split()
    subprocess.run(
        [sys.executable, "-m", "pre_commit", *words[1:]], check=True, capture_output=True
    )
    assert doctor_repo.problems() == []
    told = [finding.message for finding in doctor_repo.examine() if finding.check == "hooks"]
    assert told[1] == "post-commit: pre-commit (.pre-commit-config.yaml)"


@pytest.mark.parametrize(
    "hooks",
    [
        "hooks: [{id: copilot-sync}, {id: copilot-refresh}, {id: copilot-secrets}]\n",
        "hooks:\n  - id: 'copilot-refresh'  # id: other\n  - id: copilot-sync\n",
    ],
)
def test_every_id_in_pre_commits_configuration_counts(doctor_repo, hooks):
    text = f"repos:\n- repo: https://example.org/x\n  rev: v1\n  {hooks}"
    doctor_repo.write_file(doctor_repo.repo.path / ".pre-commit-config.yaml", text, 0o644)
    assert sources_module.configured_stages(GitRepository.discover(doctor_repo.repo.path)) == set(
        HOOKS
    )


def test_a_comment_configures_nothing(doctor_repo):
    doctor_repo.write_file(
        doctor_repo.repo.path / ".pre-commit-config.yaml", "repos: []  # id: copilot-sync\n", 0o644
    )
    assert sources_module.configured_stages(GitRepository.discover(doctor_repo.repo.path)) == set()
