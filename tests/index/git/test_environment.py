"""No command that a repository's configuration names is ever run by reading it.

Such a configuration comes with an archive, or with a folder that looks like a repository.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from git_copilot.hooks.check import _DIFF
from git_copilot.index.core.errors import GitError
from git_copilot.index.git.environment import NO_HOOKS, PINS, git_environment
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.worktree_status import uncommitted_paths
from tests.support.gitrepo import GitRepo

# Of the keys that git lists, those whose names say that the value is run, or starts something.
SOUNDS_LIKE_A_COMMAND = re.compile(
    r"command$|cmd$|program$|helper$|hook$|pager|editor$|askpass$|gitproxy$|fsmonitor$|\.driver$"
    r"|textconv$|external$|clean$|smudge$|process$|hookspath$|tunnel$|packobjectshook$|\.vcs$"
    r"|difffilter$|uploadpack$|receivepack$|procreceiverefs$|showsignature$|submodulesummary$"
    r"|submodule\.recurse$|^alias|^gc\.auto$|^maintenance\.auto$|browser$|viewer$",
    re.IGNORECASE,
)
# Keys that need no pin, each with the reason.
NEEDS_NONE = {
    "alias.*": "no alias takes the place of git's own commands",
    "browser.<tool>.cmd": "git help and git web--browse only",
    "color.pager": "no command",
    "column.clean": "no command",
    "core.fsmonitorHookVersion": "no command",
    "diff.<driver>.cachetextconv": "no command",
    "diff.<driver>.command": "--no-ext-diff",
    "diff.<driver>.textconv": "--no-textconv",
    "diff.external": "--no-ext-diff",
    "difftool.<tool>.cmd": "git difftool only",
    "filter.<driver>.clean": "set to nothing where files are compared",
    "filter.<driver>.process": "set to nothing where files are compared",
    "filter.<driver>.smudge": "nothing is checked out",
    "gitcvs.dbDriver": "git cvsserver only",
    "guitool.<name>.cmd": "git gui only",
    "help.browser": "git help only",
    "imap.tunnel": "git imap-send only",
    "instaweb.browser": "git instaweb only",
    "interactive.diffFilter": "git add --patch only",
    "man.<tool>.cmd": "git help only",
    "man.viewer": "git help only",
    "merge.<driver>.driver": "nothing is merged",
    "mergetool.<tool>.cmd": "git mergetool only",
    "pager.<cmd>": "--no-pager",
    "receive.procReceiveRefs": "nothing is received",
    "remote.<name>.receivepack": "protocol.allow, GIT_ALLOW_PROTOCOL",
    "remote.<name>.uploadpack": "protocol.allow, GIT_ALLOW_PROTOCOL",
    "remote.<name>.vcs": "protocol.allow, GIT_ALLOW_PROTOCOL",
    "sendemail.ccCmd": "git send-email only",
    "sendemail.tocmd": "git send-email only",
    "trailer.<token>.cmd": "git interpret-trailers only",
    "trailer.<token>.command": "git interpret-trailers only",
    "uploadpack.packObjectsHook": "read from the user's own configuration only",
    "web.browser": "git web--browse only",
}
PINNED = {pin.partition("=")[0].lower() for pin in (*PINS, NO_HOOKS)} | {"gpg.<format>.program"}


def test_every_git_key_that_may_name_a_command_is_pinned_or_listed_as_safe():
    listed = subprocess.run(
        ["git", "help", "--config"], capture_output=True, text=True, check=True
    ).stdout.split()
    judged = {key.lower() for key in NEEDS_NONE} | PINNED
    listed = [key for key in listed if not key.startswith("advice.")]
    commands = {key for key in listed if SOUNDS_LIKE_A_COMMAND.search(key)}
    assert len(commands) > 40
    assert {key for key in commands if key.lower() not in judged} == set()


@pytest.fixture
def trapped_repo(repo: GitRepo, tmp_path):
    """A repository with a command in every such key, and the folder where runs leave marks."""
    caught = tmp_path / "caught"
    caught.mkdir()

    def trap(name: str) -> str:
        return f"touch '{caught}/{name}'; cat #"

    repo.commit({"a.py": "x = 1\n", "b.txt": "text\n", ".gitattributes": "*.py filter=f diff=d\n"})
    repo.git("update-index", "--refresh", check=False)
    (repo.git_dir / "info" / "attributes").write_text("*.txt filter=other.name diff=d\n")
    hooks = repo.git_dir / "planted"
    hooks.mkdir()
    for name in ("post-index-change", "reference-transaction", "pre-auto-gc", "fsmonitor-watchman"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{caught}/hook-{name}'\n")
        (hooks / name).chmod(0o755)
    keys = {
        "core.hooksPath": str(hooks),
        "diff.external": trap("diff-external"),
        "diff.d.command": trap("diff-driver"),
        "diff.d.textconv": trap("textconv"),
        "diff.submodule": "log",
        "pager.status": trap("pager-status"),
        "pager.log": trap("pager-log"),
        "pager.config": trap("pager-config"),
        "alias.status": f"!{trap('alias-status')}",
        "alias.rev-parse": f"!{trap('alias-rev-parse')}",
        "log.showSignature": "true",
        "status.submoduleSummary": "true",
        "gc.auto": "1",
        "protocol.ext.allow": "always",
        "protocol.file.allow": "always",
        "remote.origin.url": f"ext::sh -c {trap('remote')}",
        "remote.origin.uploadpack": trap("uploadpack"),
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "trace2.eventTarget": str(caught / "trace2"),
        "uploadpack.packObjectsHook": trap("pack-objects"),
        "hook.planted.command": trap("configured-hook"),
        "hook.planted.event": "post-index-change",
    }
    for filter_name in ("f", "other.name"):
        for way in ("clean", "smudge", "process"):
            keys[f"filter.{filter_name}.{way}"] = trap(f"{filter_name}-{way}")
        keys[f"filter.{filter_name}.required"] = "true"
    for pin in PINS:
        key, _, value = pin.partition("=")
        if key not in keys and value not in ("true", "short", "never", "0"):
            keys[key] = trap(key)
    keys["core.fsmonitor"] = f"touch '{caught}/core.fsmonitor' #"
    for key, value in keys.items():
        repo.git("config", key, value)
    repo.write({"a.py": "x = 2\n", "b.txt": "texT\n", "new.py": "y = 1\n"})
    yield repo, caught
    assert [path.name for path in caught.iterdir()] == []


def test_the_traps_catch_an_unprotected_git(trapped_repo):
    """The positive control: git, run as it is, triggers them."""
    repo, caught = trapped_repo
    repo.git("status", check=False)
    repo.git("log", "-p", "--ext-diff", check=False)
    found = {path.name for path in caught.iterdir()}
    assert {"core.fsmonitor", "diff-external"} <= found, sorted(found)
    assert any(name.endswith(("-clean", "-process")) for name in found)
    for path in caught.iterdir():
        path.unlink()


def test_comparing_the_working_tree_runs_no_filter_or_fsmonitor(trapped_repo):
    repo, _ = trapped_repo
    assert uncommitted_paths(GitRepository.discover(repo.path)) == ["a.py", "b.txt", "new.py"]


def test_reading_a_repository_runs_no_configured_command(trapped_repo):
    repo, _ = trapped_repo
    found = GitRepository.discover(repo.path)
    head = found.head_commit()
    assert head is not None
    for words in (
        ("diff", "--unified=0"),
        ("diff-files", "-p"),
        ("diff-index", "-p", "HEAD"),
        ("diff-tree", "-p", "--root", head),
        (*_DIFF, "--unified=0"),
        ("log", "-p", "--format=%H %an"),
        ("show", head),
        ("ls-files", "--modified"),
        ("rev-list", "--all", "--objects"),
        ("for-each-ref",),
        ("cat-file", "-p", "HEAD:a.py"),
    ):
        found.run(*words)
    assert found.config("hook")["planted.event"] == "post-index-change"
    assert [entry.path for entry in found.ls_tree("HEAD")] == [".gitattributes", "a.py", "b.txt"]


def test_a_missing_object_triggers_no_fetch(trapped_repo):
    repo, _ = trapped_repo
    missing = "1" * 40
    found = GitRepository.discover(repo.path)
    assert found.has_object(missing) is False
    assert list(found.blobs([missing])) == []


def test_git_environment_overrides_cannot_undo_a_pin(trapped_repo, monkeypatch):
    repo, caught = trapped_repo
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch '{caught}/by-hand' #")
    monkeypatch.setenv("GIT_CONFIG_KEY_1", "copilot.maxTokens")
    monkeypatch.setenv("GIT_CONFIG_VALUE_1", "7")
    found = GitRepository.discover(repo.path)
    assert found.config("copilot") == {"maxtokens": "7"}
    told = [(e.scope, e.key, e.value) for e in found.config_entries("copilot")]
    assert ("command", "maxtokens", "7") in told
    uncommitted_paths(found)


def test_a_required_filter_that_cannot_be_disabled_aborts_the_comparison(repo):
    repo.commit({"a.py": "x = 1\n", ".gitattributes": "*.py filter=a=b\n"})
    repo.git("config", "filter.a=b.clean", "touch ran; cat")
    repo.write({"a.py": "x = 2\n"})
    with pytest.raises(GitError, match="a=b"):
        uncommitted_paths(GitRepository.discover(repo.path))
    assert not (repo.path / "ran").exists()


def test_every_transport_protocol_is_disabled_whatever_the_configuration_says(repo):
    repo.commit({"a.py": "x = 1\n"})
    for name in ("allow", "file.allow", "ext.allow"):
        repo.git("config", f"protocol.{name}", "always")
    found = GitRepository.discover(repo.path)
    code, _, message = found.try_run("ls-remote", str(repo.path))
    assert code != 0 and "not allowed" in message
    assert "GIT_EXTERNAL_DIFF" not in git_environment()
