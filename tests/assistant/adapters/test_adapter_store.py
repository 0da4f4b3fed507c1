"""Adapters on disk are complete or absent, one is in use, and rollback is always possible."""

from __future__ import annotations

import errno
import struct

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.repository import GitRepository
from tests.support.stored_adapters import add, fill, safetensors


def test_ids_sort_by_time_and_are_valid():
    ids = [adapter_store.new_id(t) for t in (0, 59, 60, 1e9, 1.8e9)]
    assert ids == sorted(ids)
    assert ids[0].startswith("19700101-000000-")


def test_a_created_adapter_is_listed_with_its_report(tmp_path):
    commits = {"train": ["a", "b"], "held_out": ["c", "d"]}
    identity = add(tmp_path, 0, commits=commits)
    rows = [record.to_json() for record in adapter_store.list_adapters(tmp_path)]
    assert rows == [
        {
            "id": identity,
            "current": False,
            "base_model": "tiny",
            "created": "1970-01-01T00:00:00Z",
            "commits": commits,
            "promoted": True,
            "delta_em": 1.5,
        }
    ]
    assert adapter_store.base_model(tmp_path, identity) == "tiny"
    assert adapter_store.adapter_path(tmp_path, identity) == tmp_path / "adapters" / identity


@pytest.mark.parametrize("state", ["", "none\n", "20200101-000000-abcd\n", "../..\n"])
def test_without_a_usable_adapter_the_base_model_is_used(tmp_path, state):
    if state:
        (tmp_path / "adapters").mkdir()
        (tmp_path / "adapters" / "current").write_text(state)
    assert adapter_store.current_adapter(tmp_path) is None
    warning = adapter_store.current_warning(tmp_path)
    assert (warning is not None) == bool(state and state != "none\n")
    assert adapter_store.list_adapters(tmp_path) == []


def test_a_failed_creation_leaves_no_files(tmp_path):
    def cut_short(folder):
        fill(folder)
        (folder / adapter_store.WEIGHTS).write_bytes(safetensors()[:-1])

    with pytest.raises(CopilotError, match="cut short"):
        adapter_store.create(tmp_path, adapter_store.new_id(), cut_short, {})
    assert list((tmp_path / "adapters").iterdir()) == []


def test_a_full_disk_is_reported_in_one_line(tmp_path):
    def full(folder):
        fill(folder)
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CopilotError, match=r"no room to write.*free some disk space"):
        adapter_store.create(tmp_path, adapter_store.new_id(), full, {})
    assert adapter_store.ids(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (adapter_store.WEIGHTS, None, "lacks adapter_model.safetensors"),
        (adapter_store.WEIGHTS, b"", "damaged"),
        (adapter_store.WEIGHTS, safetensors()[:-4], "cut short"),
        (adapter_store.WEIGHTS, struct.pack("<Q", 1 << 60) + b"{}", "cut short"),
        (adapter_store.WEIGHTS, struct.pack("<Q", 2) + b"[]", "damaged"),
        (adapter_store.CONFIG, None, "lacks adapter_config.json"),
        (adapter_store.CONFIG, b"{", "damaged"),
    ],
)
def test_a_damaged_adapter_is_detected_and_the_remedy_named(tmp_path, name, content, said):
    identity = add(tmp_path, 0)
    adapter_store.use(tmp_path, identity)
    path = tmp_path / "adapters" / identity / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(CopilotError, match=f"{said}.*adapter rollback"):
        adapter_store.adapter_path(tmp_path, identity)
    assert adapter_store.current_adapter(tmp_path) is None
    assert identity in adapter_store.current_warning(tmp_path)
    with pytest.raises(CopilotError):
        adapter_store.use(tmp_path, identity)


def test_an_unreadable_report_does_not_hide_the_adapter(tmp_path):
    identity = add(tmp_path, 0)
    (tmp_path / "adapters" / identity / adapter_store.EVIDENCE).write_text("{")
    assert adapter_store.list_adapters(tmp_path)[0].base_model is None


@pytest.mark.parametrize("name", ["nope", "..", "20200101-000000-abcd", ""])
def test_an_unknown_adapter_id_is_refused(tmp_path, name):
    with pytest.raises(CopilotError, match="there is no adapter"):
        adapter_store.adapter_path(tmp_path, name)


def test_rollback_goes_back_step_by_step(tmp_path):
    first, second, third = (add(tmp_path, t) for t in (0, 1, 2))
    for identity in (first, second, None, third):
        adapter_store.use(tmp_path, identity)
    assert adapter_store.current_adapter(tmp_path) == third
    assert adapter_store.rollback(tmp_path) is None
    assert adapter_store.rollback(tmp_path) == second
    assert adapter_store.rollback(tmp_path) == first
    assert adapter_store.rollback(tmp_path) is None
    assert adapter_store.current_adapter(tmp_path) is None
    with pytest.raises(CopilotError, match="no adapter was in use before"):
        adapter_store.rollback(tmp_path)


def test_rollback_skips_deleted_adapters(tmp_path):
    first, second, third = (add(tmp_path, t) for t in (0, 1, 2))
    for identity in (first, second, third):
        adapter_store.use(tmp_path, identity)
    (tmp_path / "adapters" / second / adapter_store.WEIGHTS).unlink()
    assert adapter_store.rollback(tmp_path) == first


@pytest.mark.parametrize("step", ["use", "rollback"])
def test_a_kill_between_the_two_writes_keeps_rollback_possible(tmp_path, monkeypatch, step):
    first, second, third = (add(tmp_path, t) for t in (0, 1, 2))
    adapter_store.use(tmp_path, first)
    adapter_store.use(tmp_path, second)
    whole = adapter_store.write_text

    def killed(path, text):
        if path.name == adapter_store.HISTORY:
            raise KeyboardInterrupt
        whole(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(adapter_store, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            adapter_store.use(tmp_path, third) if step == "use" else adapter_store.rollback(
                tmp_path
            )
    assert adapter_store.current_adapter(tmp_path) == (third if step == "use" else first)
    assert adapter_store.rollback(tmp_path) == (second if step == "use" else None)


def test_adapter_at_picks_the_newest_adapter_trained_on_ancestors_only(repo):
    oids = [repo.commit({"a.py": f"x = {i}\n"}) for i in range(6)]
    found = GitRepository.discover(repo.path)
    early = add(found.state_dir, 0, commits={"train": oids[:2], "held_out": oids[1:3]})
    add(found.state_dir, 1, promoted=False, commits={"train": oids[:1], "held_out": oids[:1]})
    late = add(found.state_dir, 2, commits={"train": oids[:4], "held_out": oids[3:5]})
    assert adapter_store.adapter_at(found, oids[5]) == late
    assert adapter_store.adapter_at(found, oids[3]) == early
    assert adapter_store.adapter_at(found, oids[1]) is None
