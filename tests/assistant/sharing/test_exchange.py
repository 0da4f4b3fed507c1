"""An adapter that one person pushes is the same on the machine of another, and nothing else moves."""

from __future__ import annotations

import hashlib

import click
import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.sharing import installation
from git_copilot.assistant.sharing.adapter_commits import FILES, LOCAL, REMOTES
from git_copilot.index.core.errors import NotInitialised
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.users_git import run_users_git
from tests.support.gitrepo import GitRepo
from tests.support.shared_adapters import (
    MODEL,
    Member,
    adapter_files,
    add_adapter,
    member,
)


def refs(repo: GitRepo) -> dict[str, str]:
    lines = repo.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split() for line in lines)


def test_a_pushed_adapter_is_pulled_byte_for_byte_and_used(ada, bob):
    adapter = add_adapter(ada.state)
    adapter_store.use(ada.state, adapter)
    assert ada.ok("push") == f"origin has {adapter} (not signed)\n"
    assert bob.ok("pull").splitlines() == [
        f"installed {adapter}",
        f"this repository uses {adapter}",
    ]
    assert adapter_files(bob.folder(adapter)) == adapter_files(ada.folder(adapter))
    assert set(adapter_files(bob.folder(adapter))) == set(FILES)
    assert not (bob.folder(adapter) / "notes.txt").exists()
    assert adapter_store.current_adapter(bob.state) == adapter
    assert bob.ok("pull") == f"{adapter} is already here\n"


def test_only_refs_of_adapters_are_written(ada, bob):
    for each in (ada, bob):
        each.repo.commit({"a.py": "x = 1\n"})
        each.repo.write({"a.py": "x = 2\n", "new.py": "y = 1\n"})
    index = (ada.repo.git_dir / "index").read_bytes()
    before = refs(ada.repo)
    adapter = add_adapter(ada.state)
    ada.ok("push", "--id", adapter)
    made = {f"{LOCAL}{adapter}", f"{REMOTES}origin/{adapter}"}
    assert set(refs(ada.repo)) - set(before) == made
    assert (ada.repo.git_dir / "index").read_bytes() == index
    assert ada.repo.git("status", "--porcelain").split() == ["M", "a.py", "??", "new.py"]
    before = refs(bob.repo)
    bob.ok("pull")
    assert set(refs(bob.repo)) - set(before) == {f"{REMOTES}origin/{adapter}"}
    assert bob.repo.git("status", "--porcelain").split() == ["M", "a.py", "??", "new.py"]
    assert not (bob.repo.git_dir / "FETCH_HEAD").exists()


def test_a_commit_has_no_parent_and_tells_base_model_and_weights(ada):
    adapter = add_adapter(ada.state)
    ada.ok("push", "--id", adapter)
    weights = (ada.folder(adapter) / adapter_store.WEIGHTS).read_bytes()
    assert ada.repo.git("log", "--format=%P|%B", f"{LOCAL}{adapter}") == (
        f"|copilot adapter {adapter}\n\nBase-Model: {MODEL}\n"
        f"Weights-SHA256: {hashlib.sha256(weights).hexdigest()}"
    )
    before = refs(ada.repo)
    ada.ok("push", "--id", adapter)  # the same commit again
    assert refs(ada.repo) == before


def test_what_was_pulled_is_passed_on_as_the_same_commit(ada, bob, tmp_path):
    adapter = add_adapter(ada.state)
    ada.ok("push", "--id", adapter)
    bob.ok("pull")
    other = GitRepo.init(tmp_path / "other.git", "--bare")
    bob.repo.git("remote", "add", "other", str(other.path))
    bob.ok("push", "other")
    assert refs(other)[f"{LOCAL}{adapter}"] == refs(ada.repo)[f"{LOCAL}{adapter}"]


def test_a_shared_adapter_does_not_change(ada, bob):
    adapter = add_adapter(ada.state)
    ada.ok("push", "--id", adapter)
    bob.ok("pull")
    report = adapter_store.read_report(bob.state, adapter)
    adapter_store.write_report(bob.folder(adapter), {**report, "delta_em": 9.0})
    assert f"origin has another version of {adapter}" in bob.refused("push", "--id", adapter)
    assert bob.ok("pull") == f"{adapter} is already here\n"  # judged again, the same adapter
    assert adapter_store.read_report(bob.state, adapter)["delta_em"] == 9.0


def test_another_adapter_of_the_same_id_is_not_overwritten(ada, bob):
    adapter = add_adapter(ada.state, 5)
    ada.ok("push", "--id", adapter)
    add_adapter(bob.state, 6)
    bob.folder(bob.installed()[0]).rename(bob.folder(adapter))
    before = adapter_files(bob.folder(adapter))
    assert "another adapter" in bob.refused("pull")
    assert adapter_files(bob.folder(adapter)) == before


def test_fetch_lists_what_the_remote_has_and_installs_nothing(ada, bob):
    assert "no adapters" in bob.ok("fetch")
    one, two = add_adapter(ada.state, 1), add_adapter(ada.state, 2, promoted=False, delta_em=None)
    for adapter in (one, two):
        ada.ok("push", "--id", adapter)
    rows = bob.json("fetch")
    assert [(r["id"], r["base_model"], r["promoted"], r["delta_em"]) for r in rows] == [
        (one, MODEL, True, 1.5),
        (two, MODEL, False, None),
    ]
    assert {(r["signer"], r["installed"], r["problem"]) for r in rows} == {
        ("unsigned", False, None)
    }
    assert bob.installed() == []
    assert f"{MODEL}  unsigned, not installed" in bob.ok("fetch")
    assert "unsigned, installed" in ada.ok("fetch")
    ada.repo.git("push", "-q", "origin", "--delete", f"{LOCAL}{one}")
    assert [row["id"] for row in bob.json("fetch")] == [two]


def test_pull_uses_the_newest_promoted_one_for_this_model(ada, bob):
    made = [
        add_adapter(ada.state, 1),
        add_adapter(ada.state, 2),
        add_adapter(ada.state, 3, promoted=False),
        add_adapter(ada.state, 4),
    ]
    config = ada.folder(made[3]) / adapter_store.CONFIG
    config.write_text(config.read_text().replace(MODEL, "other/model"))
    report = adapter_store.read_report(ada.state, made[3])
    adapter_store.write_report(ada.folder(made[3]), {**report, "base_model": "other/model"})
    for adapter in made:
        ada.ok("push", "--id", adapter)
    assert bob.json("pull", "--id", made[0], "--no-use") == {
        "remote": "origin", "installed": [made[0]], "present": [], "refused": [], "used": None,
    }  # fmt: skip
    found = bob.json("pull")
    assert (found["installed"], found["present"]) == (made[1:], made[:1])
    assert found["used"] == made[1] == adapter_store.current_adapter(bob.state)
    adapter_store.use(bob.state, made[0])
    assert bob.json("pull")["used"] is None  # nothing is new, and the user chose another
    adapter_store.use(bob.state, None)
    assert bob.json("pull")["used"] == made[1]


def test_a_newer_adapter_in_use_stays_unless_the_other_is_named(ada, bob):
    old = add_adapter(ada.state, 1)
    ada.ok("push", "--id", old)
    mine = add_adapter(bob.state, 1000)
    adapter_store.use(bob.state, mine)
    assert bob.json("pull")["used"] is None
    bob.ok("rm", old)
    assert bob.json("pull", "--id", old)["used"] == old


def test_remotes_without_adapters_or_without_this_one(ada, bob):
    assert bob.ok("pull") == "origin has no adapters\n"
    ada.ok("push", "--id", add_adapter(ada.state))
    missing = "20200101-000000-abcd"
    assert f"origin has no adapter '{missing}'" in bob.refused("pull", "--id", missing)


@pytest.mark.parametrize("command", ["push", "fetch", "pull"])
def test_a_remote_that_is_missing_or_unreachable_is_told_in_one_line(ada, command, tmp_path):
    adapter_store.use(ada.state, add_adapter(ada.state))
    assert "no remote 'nowhere'" in ada.refused(command, "nowhere")
    ada.repo.git("remote", "set-url", "origin", str(tmp_path / "absent.git"))
    assert "does not appear to be a git repository" in ada.refused(command)
    ada.repo.git("remote", "set-url", "origin", "http://user:secret@127.0.0.1:9/x.git")
    assert "secret" not in ada.refused(command)
    ada.repo.git("remote", "remove", "origin")
    assert "this repository has no remote; add one" in ada.refused(command)


def test_the_remote_is_the_upstream_else_origin_else_the_only_one(ada, tmp_path):
    add_adapter(ada.state)
    ada.repo.commit({"a.py": "x = 1\n"})
    team = GitRepo.init(tmp_path / "team.git", "--bare")
    ada.repo.git("remote", "add", "team", str(team.path))
    adapter_store.use(ada.state, ada.installed()[0])
    assert ada.ok("push").startswith("origin has")
    ada.repo.git("config", "branch.main.remote", "team")
    assert ada.ok("push").startswith("team has")
    ada.repo.git("config", "--unset", "branch.main.remote")
    ada.repo.git("remote", "rename", "origin", "spare")
    assert "several remotes (spare, team)" in ada.refused("push")
    ada.repo.git("remote", "remove", "spare")
    assert ada.ok("push").startswith("team has")


def test_the_users_own_hook_can_stop_a_push(ada, remote):
    hook = ada.repo.git_dir / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ncat > \"$GIT_DIR/told\"\necho 'not on Fridays' >&2\nexit 1\n")
    hook.chmod(0o755)
    adapter = add_adapter(ada.state)
    assert "not on Fridays" in ada.refused("push", "--id", adapter)
    assert f"{LOCAL}{adapter}" in (ada.repo.git_dir / "told").read_text()
    assert refs(GitRepo(remote)) == {}
    hook.unlink()
    ada.ok("push", "--id", adapter)


def test_a_refusing_server_is_told_in_one_line(ada, remote):
    hook = remote / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    told = ada.refused("push", "--id", add_adapter(ada.state))
    assert "pre-receive hook declined" in told and "git push origin refs/copilot" in told


def test_a_damaged_adapter_is_not_pushed(ada, remote):
    adapter = add_adapter(ada.state)
    weights = ada.folder(adapter) / adapter_store.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "cut short" in ada.refused("push", "--id", adapter)
    assert "no adapter is in use" in ada.refused("push")
    assert refs(GitRepo(remote)) == {} and refs(ada.repo) == {}


def test_a_bare_repository_shares_too(ada, remote, tmp_path):
    bare = Member(GitRepo.init(tmp_path / "bare.git", "--bare"))
    bare.repo.git("remote", "add", "origin", str(remote))
    bare.repo.git("config", "copilot.adapterTrust", "any")
    ada.ok("push", "--id", add_adapter(ada.state))
    assert bare.json("pull")["used"] == ada.installed()[0]
    adapter = add_adapter(bare.state, 9)
    bare.ok("push", "--id", adapter)
    assert adapter in {row["id"] for row in ada.json("fetch")}


def test_a_partial_clone_gets_all_files(ada, remote, bob):
    GitRepo(remote).git("config", "uploadpack.allowFilter", "true")
    bob.repo.git("config", "remote.origin.promisor", "true")
    bob.repo.git("config", "remote.origin.partialCloneFilter", "blob:none")
    adapter = add_adapter(ada.state)
    ada.ok("push", "--id", adapter)
    bob.ok("pull")
    assert adapter_files(bob.folder(adapter)) == adapter_files(ada.folder(adapter))


@pytest.mark.parametrize("moment", ["_copy_blob", "check_folder", "sync_folder"])
def test_what_dies_in_the_middle_leaves_no_half_of_an_adapter(ada, bob, monkeypatch, moment):
    ada.ok("push", "--id", add_adapter(ada.state))

    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(installation, moment, die)
        with pytest.raises(click.Abort):
            bob.run("pull")
    assert bob.installed() == [] and adapter_store.current_adapter(bob.state) is None
    bob.ok("pull")
    assert bob.installed() == ada.installed()


def test_the_users_git_does_not_run_in_a_repository_that_is_not_trusted(tmp_path):
    repo = GitRepo.init(tmp_path / "found")
    with pytest.raises(NotInitialised):
        run_users_git(GitRepository.discover(repo.path), "version")


def test_all_members_see_each_others_adapters(tmp_path, remote, ada, bob):
    eve = member(tmp_path, "eve", remote)
    eve.repo.git("config", "copilot.adapterTrust", "any")
    ada.ok("push", "--id", add_adapter(ada.state, 1))
    bob.ok("push", "--id", add_adapter(bob.state, 2))
    assert eve.json("pull")["installed"] == [*ada.installed(), *bob.installed()]
