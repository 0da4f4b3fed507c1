"""The file that is being edited is searched where a prompt does not show it."""

from __future__ import annotations

import pytest

from git_copilot.index.search.edited_file import EditedFile
from git_copilot.index.search.overlay import Overlay, chunk_uncommitted

HELPER = "def helper_{0}(value):\n    result = transform_{0}(value)\n    return result\n\n\n"
ABOVE = "".join(HELPER.format(number) for number in range(40))
BELOW = "\n\n\n" + "".join(HELPER.format(number) for number in range(40, 80))


def edited(before=300, after=200, line="    x = helper_3("):
    return EditedFile("a.py", f"{ABOVE}def use(v):\n{line}", BELOW, before, after)


def names(overlay):
    return {s.name for c in overlay.chunks("python", "") for s in c.chunk.symbols}


def test_chunks_beyond_the_visible_lines_are_candidates():
    file = edited()
    found = names(file.added_to(Overlay()))
    assert {"helper_0", "helper_3", "helper_79"} <= found
    assert not {"helper_39", "helper_40", "use"} & found
    first, last = file.visible
    whole = (file.prefix + file.suffix).split("\n")
    for each in file.added_to(Overlay()).chunks("python", ""):
        chunk = each.chunk
        assert chunk.end_line < first or chunk.start_line > last
        assert chunk.text.split("\n")[0] == whole[chunk.start_line - 1]


def test_typing_on_a_line_changes_no_chunk():
    texts = [
        [c.file.blob for c in edited(line=line).added_to(Overlay()).chunks("python", "")]
        for line in ("    x = helper_3(", "    x = helper_3(v", "    y")
    ]
    assert texts[0] == texts[1] == texts[2] and texts[0]


def test_a_short_file_hides_only_its_committed_version():
    file = EditedFile("a.py", "def one():\n    re", "\n\n\ndef two():\n    pass\n", 300, 200)
    overlay = file.added_to(Overlay())
    assert overlay.files == {"a.py": None}


def test_other_uncommitted_files_stay():
    other = chunk_uncommitted("b.py", b"def other():\n    pass\n")
    overlay = edited().added_to(Overlay({"b.py": other, "a.py": other}))
    assert overlay.files["b.py"] is other and overlay.files["a.py"] is not other
    assert "other" in names(overlay)


@pytest.mark.parametrize(("before", "after"), [(10**6, 10**6), (0, 0), (1, 10**6)])
def test_any_window(before, after):
    file = edited(before, after)
    first, last = file.visible
    assert 1 <= first <= last <= (file.prefix + file.suffix).count("\n") + 1
    assert file.prefix.rpartition("\n")[2].strip() in file.visible_lines


def test_a_secret_of_the_file_is_no_candidate():
    key = "AKIA" + "QYLPMN5HFIQR7XYA"
    prefix = f"AWS_KEY = '{key}'\nLIMIT = 3\n\n\n{ABOVE}x = "
    file = EditedFile("a.py", prefix, "\n", 100, 100)
    texts = [c.chunk.text for c in file.added_to(Overlay()).chunks("python", "")]
    assert texts and not any(key in text for text in texts)
