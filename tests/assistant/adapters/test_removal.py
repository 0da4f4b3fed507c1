"""Deleted adapters are gone at once, and nothing refers to them any more."""

from __future__ import annotations

import pytest

from git_copilot.assistant.adapters import adapter_store, removal
from git_copilot.assistant.adapters.folder_adapters import folders, use_for
from git_copilot.index.core.errors import CopilotError
from tests.support.stored_adapters import add


def test_prune_deletes_old_rejected_adapters_and_keeps_those_ever_used(tmp_path):
    winner = add(tmp_path, 0)
    tried, own = add(tmp_path, 1, promoted=False), add(tmp_path, 2, promoted=False)
    losers = [add(tmp_path, t, promoted=False) for t in range(3, 10)]
    adapter_store.use(tmp_path, tried)
    adapter_store.use(tmp_path, winner)
    use_for(tmp_path, "docs", own)
    (tmp_path / "adapters" / ".new-20200101-000000-abcd").mkdir()
    assert removal.prune(tmp_path) == losers[:2]
    assert adapter_store.ids(tmp_path) == [winner, tried, own, *losers[2:]]
    assert not list((tmp_path / "adapters").glob(".new-*"))


def test_the_one_in_use_leaves_the_base_model(tmp_path):
    first, second = add(tmp_path, 1), add(tmp_path, 2)
    adapter_store.use(tmp_path, first)
    adapter_store.use(tmp_path, second)
    use_for(tmp_path, "docs", second)
    assert removal.remove(tmp_path, second)
    assert adapter_store.current_adapter(tmp_path) is None
    assert adapter_store.ids(tmp_path) == [first]
    assert folders(tmp_path) == {}
    assert adapter_store.rollback(tmp_path) == first
    assert not removal.remove(tmp_path, add(tmp_path, 3))


def test_a_damaged_one_can_be_deleted(tmp_path):
    adapter = add(tmp_path, 1)
    adapter_store.use(tmp_path, adapter)
    folder = adapter_store.adapters_dir(tmp_path) / adapter
    (folder / adapter_store.WEIGHTS).write_bytes(b"")
    (folder / adapter_store.EVIDENCE).unlink()
    assert removal.remove(tmp_path, adapter)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["none", "..", "current", "20261201-000000-ffff"])
def test_only_adapters_are_deleted(tmp_path, name):
    add(tmp_path, 1)
    with pytest.raises(CopilotError, match="there is no adapter"):
        removal.remove(tmp_path, name)


def test_a_kill_leaves_no_half_of_one(tmp_path, monkeypatch):
    adapter = add(tmp_path, 1)

    def killed(path, *args, **kwargs):
        if path.exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(removal.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            removal.remove(tmp_path, adapter)
    assert adapter_store.ids(tmp_path) == []
    removal.prune(tmp_path)
    assert not list((tmp_path / "adapters").glob(".new-*"))
