"""The ledger tells of every adapter known here; forgetting drops the refs of those that learnt."""

from __future__ import annotations

import json

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.folder_adapters import use_for
from git_copilot.assistant.adapters.removal import prune
from git_copilot.assistant.sharing.adapter_commits import LOCAL, REMOTES
from git_copilot.index.store.database import DATABASE_NAME, Database
from tests.support.shared_adapters import COMMIT, MODEL, add_adapter


def test_a_pruned_adapter_keeps_its_ref_and_the_log_tells(ada, bob):
    lost = [add_adapter(ada.state, i, promoted=False) for i in range(3)]
    ada.ok("push", "--id", lost[0])
    assert prune(ada.state, keep=1) == lost[:2]
    used = [add_adapter(ada.state, i) for i in (10, 11)]
    for adapter in used:
        adapter_store.use(ada.state, adapter)
    rows = ada.json("log")
    assert [(r["id"], r["state"], r["ref"], r["remotes"]) for r in rows] == [
        (lost[0], "only as a ref", True, ["origin"]),
        (lost[2], "installed", False, []),
        (used[0], "used before", False, []),
        (used[1], "in use", False, []),
    ]
    assert rows[0]["base_model"] == MODEL and rows[0]["promoted"] is False
    text = ada.ok("log").splitlines()
    assert text[0].startswith(f"1970-01-01  {lost[0]}") and "shared with origin" in text[0]
    assert f"{COMMIT[:10]}..{'3' * 10}" in text[0]
    bob.ok("fetch")
    assert [row["state"] for row in bob.json("log")] == ["only as a ref"]


def test_an_empty_log_tells_what_to_do(ada):
    assert "git copilot refresh" in ada.ok("log") and json.loads(ada.ok("log", "--json")) == []


def test_an_adapter_of_a_folder_is_in_use(ada):
    adapter = add_adapter(ada.state)
    use_for(ada.state, "web", adapter)
    assert ada.json("log")[0]["state"] == "in use"


@pytest.fixture(name="learnt")
def shared_adapter_that_learnt_from_the_head(ada, runtime):
    """Its id; another one learnt from nothing that is here."""
    Database(ada.state / DATABASE_NAME, create=True).close()
    head = ada.repo.commit({"a.py": "x = 1\n"})
    adapter, other = add_adapter(ada.state, 1), add_adapter(ada.state, 2)
    (ada.folder(adapter) / adapter_store.COMMITS).write_text(f"{head}\n")
    for each in (adapter, other):
        ada.ok("push", "--id", each)
    return adapter, other


def local_refs(member):
    return member.repo.git("for-each-ref", "--format=%(refname)", LOCAL).splitlines()


def test_forgetting_drops_the_refs_of_adapters_that_learnt_and_tells_of_copies(ada, learnt):
    adapter, other = learnt
    told = ada.json_of("forget", "--commit", "HEAD", "--dry-run")
    assert told["shared"] == {adapter: ["origin"]}
    assert local_refs(ada) == [f"{LOCAL}{adapter}", f"{LOCAL}{other}"]
    assert ada.json_of("forget", "--commit", "HEAD")["shared"] == {adapter: ["origin"]}
    assert local_refs(ada) == [f"{LOCAL}{other}"]
    assert ada.repo.git("rev-parse", "--verify", f"{REMOTES}origin/{adapter}")


def test_forgetting_tells_of_copies_in_words(ada, learnt):
    code, out, _ = ada.command("forget", "--commit", "HEAD")
    assert code == 0
    assert f"adapter {learnt[0]} was shared: origin has a copy, which stays" in out
    assert f"adapter {learnt[1]} was shared" not in out
