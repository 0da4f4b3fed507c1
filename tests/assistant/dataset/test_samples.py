"""Samples of holes: true to the file, safe for a terminal, without secrets."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_copilot.assistant.cli.display import (
    BAR_WIDTH,
    ROWS,
    Look,
    bar,
    figures_lines,
    sample_lines,
    table,
    visible,
)
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.explain import explain_hole
from git_copilot.assistant.dataset.samples import (
    CONTEXT_LINES,
    SampleFilter,
    choose_samples,
    iso_time,
    make_sample,
    readable,
)
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.escaping import printable
from git_copilot.index.core.types import Hole
from tests.support.gitrepo import EPOCH
from tests.support.histories import KEY, all_holes, commit_functions
from tests.support.terminal_screens import as_on_terminal

SGR = re.compile("\x1b\\[[0-9;]*m")


def hole(start=0, end=1, path="a.py", author="Ada <ada@example.org>"):
    return Hole("c" * 40, "b" * 40, path, start, end, "line", author, EPOCH, "python", 7)


def sample(text, middle, **more):
    data = text.encode()
    start = data.index(middle.encode())
    return make_sample(data, hole(start, start + len(middle.encode()), **more), 1.0, "stands")


def safe(line):
    """No characters that command a terminal, apart from tabs."""
    return not any(
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") and char != "\t" for char in line
    )


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), st.data())
def test_a_sample_shows_the_file_around_the_hole(text, data):
    low = data.draw(st.integers(0, len(text) - 1))
    high = data.draw(st.integers(low + 1, len(text)))
    start, end = (len(text[:i].encode()) for i in (low, high))
    found = make_sample(text.encode(), hole(start, end), 1.0, "")
    assert found.line == text[:low].count("\n") + 1
    shown = found.before + found.middle + found.after
    assert shown in text.replace("\r\n", "\n") or "\r\n" in text
    assert found.before.count("\n") <= CONTEXT_LINES >= found.after.count("\n")
    if "\r" not in text:
        assert found.middle == text[low:high]
        assert (text[:low] + "\0").endswith(found.before + "\0")
        assert text[high:].startswith(found.after)


@given(st.text(), st.text(min_size=1), st.text(), st.text(), st.booleans())
def test_file_content_cannot_send_terminal_commands(before, middle, after, path, colour):
    text = before + middle + after
    start, end = (len(x.encode("utf-8", "replace")) for x in (before, before + middle))
    data = text.encode("utf-8", "replace")
    found = make_sample(data, hole(start, end, path=path, author=path), 0.5, path)
    for line in sample_lines(Look(colour=colour), found):
        plain = SGR.sub("", as_on_terminal(line)) if colour else line
        assert safe(plain), ascii(plain)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "^[]0;title^G"),
        ("a\x7fb\x9bc", "a^?b<U+009B>c"),
        ("caf\udce9", "caf<E9>"),
        ("\u202eevil", "<U+202E>evil"),
        ("new\nline\ttab", "new^Jline^Itab"),
        ("é 漢 🙂", "é 漢 🙂"),
    ],
)
def test_control_characters_are_shown_escaped(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("middle", "shown"),
    [
        ("    return x", "····return x"),
        ("\treturn  x", "→return  x"),
        ("\n    a = 1\n    b = 2", "↵\n····a = 1\n    b = 2"),
        ("  ", "··"),
        ("x = 1", "x = 1"),
    ],
)
def test_leading_white_space_of_a_middle_is_visible(middle, shown):
    assert visible(middle) == shown


TEXT = "import os\n\n\ndef f(a):\n    b = a\n    return os.path.join(b, a)\n\n\nx = 1\ny = 2\n"


def test_a_sample_without_colour_marks_the_middle():
    header, *lines = sample_lines(Look(), sample(TEXT, "os.path.join(b, a)"), "../")
    assert header.startswith("../a.py:6  hole 7  cccccccccc  Ada <ada@example.org>  2023-11-14")
    assert header.endswith("line  weight 1.00 (stands)")
    assert lines == [
        "     3  ", "     4  def f(a):", "     5      b = a",
        "     6      return ⟦os.path.join(b, a)⟧", "     7  ", "     8  ", "     9  x = 1",
    ]  # fmt: skip


def test_a_sample_in_colour_is_dim_around_the_middle_and_ends_each_line_plain():
    found = sample(TEXT, "b = a\n    return os.path.join(b, a)")
    lines = [as_on_terminal(line) for line in sample_lines(Look(colour=True), found)]
    assert "\x1b[2m    \x1b[0m\x1b[32;1mb = a\x1b[0m" in lines[4]
    for line in lines:
        assert "\x1b" not in line or line.rfind("\x1b[0m") >= line.rfind("\x1b[2m")
    plain = [SGR.sub("", line) for line in lines]
    assert plain[4:6] == ["     5      b = a", "     6      return os.path.join(b, a)"]


def test_secrets_are_masked_also_in_the_middle():
    text = f"a = 1\naws_key = '{KEY}'\nb = connect(aws_key, 'password')\n"
    for middle in (f"'{KEY}'", "connect(aws_key, 'password')"):
        found = sample(text, middle)
        assert KEY not in json.dumps(found.fields())
        assert not any(KEY in line for line in sample_lines(Look(), found))
    assert "connect(aws_key" in found.middle


def test_paths_and_invalid_dates_are_shown_safely():
    found = sample("x = 1\n", "x", path="caf\udce9\n.py")
    assert found.fields()["path"] == "caf\ufffd\n.py" == readable("caf\udce9\n.py")
    json.dumps(found.fields()).encode()
    assert iso_time(10**18) == str(10**18)
    assert iso_time(-1).startswith("1969-12-31T23:59:59")


def test_long_lines_are_cut_on_the_side_opposite_the_middle():
    long = "".join(f"v{i:03}, " for i in range(100))
    _, line = sample_lines(Look(), sample(f"[{long}middle, {long}]", "middle"))
    assert "v099, ⟦middle⟧, v000" in line
    assert "v050" not in line


def test_bar_length_grows_with_the_share_and_is_zero_only_for_zero():
    assert bar(0) == "" and bar(1e-9) == "▏" and bar(1) == "█" * BAR_WIDTH
    lengths = [len(bar(i / 100)) for i in range(101)]
    assert lengths == sorted(lengths) and lengths[-1] == BAR_WIDTH
    assert bar(0.5) == "█" * (BAR_WIDTH // 2)


@pytest.mark.parametrize("bars", [True, False])
def test_the_first_rows_are_shown_and_the_rest_summarised(bars):
    rows = {f"name {i}": 2000 - i for i in range(ROWS + 3)}
    lines = table(Look(bars=bars), "title", rows)
    assert lines[:2] == ["", "title"] and len(lines) == ROWS + 3
    rest = sum(list(rows.values())[ROWS:])
    assert lines[-1].split()[0] == (f"{rest:,}" if bars else str(rest))
    assert lines[-1].endswith("and 3 others")
    assert ("█" in lines[2]) is bars
    assert table(Look(), "title", {}) == ["", "title", "    none"]


def test_characters_missing_in_the_output_encoding_are_escaped():
    assert Look(encoding="ascii").fit("⟦é⟧") == r"\u27e6\xe9\u27e7"
    assert Look().fit("⟦é⟧") == "⟦é⟧"


def test_samples_depend_on_the_seed_and_the_filters(opened_repo):
    repo, found, db = opened_repo
    commit_functions(repo, found, db)
    ten = choose_samples(found, db, 10, 1, SampleFilter())
    assert len({s.hole.id for s in ten}) == 10
    assert choose_samples(found, db, 10, 1, SampleFilter()) == ten
    assert choose_samples(found, db, 10, 2, SampleFilter()) != ten
    assert {
        s.hole.language for s in choose_samples(found, db, 5, 1, SampleFilter(language="python"))
    } == {"python"}
    assert {s.hole.kind for s in choose_samples(found, db, 5, 1, SampleFilter(kind="line"))} == {
        "line"
    }
    of_bob = choose_samples(found, db, 999, 1, SampleFilter(author="bOB"))
    assert len(of_bob) == sum("Bob" in h.author for h in all_holes(repo, db)) > 0
    for each in of_bob:
        data = found.read_blob(each.hole.blob).decode()
        assert each.before + each.middle + each.after in data


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (SampleFilter(kind="nonsense"), "lines"),
        (SampleFilter(language="cobol"), "javascript, python"),
        (SampleFilter(author="nobody"), "no hole matches"),
    ],
)
def test_an_unknown_filter_value_is_refused_with_the_known_ones(opened_repo, wanted, words):
    repo, found, db = opened_repo
    commit_functions(repo, found, db)
    with pytest.raises(CopilotError, match=words):
        choose_samples(found, db, 3, 0, wanted)


def test_an_empty_corpus_has_no_samples(opened_repo):
    _, found, db = opened_repo
    for wanted in (SampleFilter(), SampleFilter(kind="line")):
        with pytest.raises(CopilotError, match="empty"):
            choose_samples(found, db, 3, 0, wanted)


def test_holes_with_missing_blobs_are_skipped_in_samples_and_refused_by_id(opened_repo):
    repo, found, db = opened_repo
    commit_functions(repo, found, db, commits=4)
    gone, *_ = all_holes(repo, db)
    (repo.git_dir / "objects" / gone.blob[:2] / gone.blob[2:]).unlink()
    shown = choose_samples(found, db, 999, 0, SampleFilter())
    assert (
        {s.hole.id for s in shown}
        == {h.id for h in all_holes(repo, db) if h.blob != gone.blob}
        != set()
    )
    with pytest.raises(CopilotError, match="is missing"):
        explain_hole(RepositoryContext(found, db, Settings()), gone.id)


def test_author_names_in_statistics_are_escaped():
    evil = {"\x1b[2J\u202e": 1}
    figures = {
        "holes": 1, "commits": 1, "authors": 1, "tests": {"code": 1, "tests": 0}, "left_out": {},
        "kind": evil, "language": evil, "author": evil, "month": evil, "status": evil,
        "survival": {"rewritten": {"holes": 1, "share": 1.0, "median_days": 1234.5}},
    }  # fmt: skip
    lines = figures_lines(Look(bars=True), figures)
    assert all(safe(line) for line in lines)
    assert any("100.0%, half of them within 1,234.5 days" in line for line in lines)
