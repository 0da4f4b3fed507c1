"""Folders with an adapter of their own."""

from __future__ import annotations

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.folder_adapters import FILE, chosen_for, folders, use_for
from git_copilot.index.core.errors import CopilotError
from tests.support.stored_adapters import add


def test_the_innermost_folder_counts(tmp_path):
    outer, inner = add(tmp_path, 1), add(tmp_path, 2)
    use_for(tmp_path, "packages", outer)
    use_for(tmp_path, "packages/api", inner)
    use_for(tmp_path, "packages/api/generated", adapter_store.NONE)
    assert chosen_for(tmp_path, "packages/web/a.py") == outer
    assert chosen_for(tmp_path, "packages/api/v1/a.py") == inner
    assert chosen_for(tmp_path, "packages/api/generated/a.py") == adapter_store.NONE
    assert chosen_for(tmp_path, "packages.py") is None
    assert chosen_for(tmp_path, "packages-old/a.py") is None


def test_the_default_is_used_again(tmp_path):
    use_for(tmp_path, "docs", add(tmp_path, 1))
    use_for(tmp_path, "docs", None)
    assert folders(tmp_path) == {}
    with pytest.raises(CopilotError, match="docs has no adapter of its own"):
        use_for(tmp_path, "docs", None)


def test_an_unknown_adapter_is_refused(tmp_path):
    with pytest.raises(CopilotError, match="there is no adapter"):
        use_for(tmp_path, "docs", "20261201-000000-ffff")
    assert folders(tmp_path) == {}


@pytest.mark.parametrize("text", ["", "[]", "{", "\\xff"])
def test_a_damaged_list_is_as_none(tmp_path, text):
    adapter = add(tmp_path, 1)
    (tmp_path / "adapters" / FILE).write_text(text)
    assert chosen_for(tmp_path, "docs/a.py") is None
    use_for(tmp_path, "docs", adapter)
    assert chosen_for(tmp_path, "docs/a.py") == adapter
