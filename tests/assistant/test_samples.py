"""A look at holes: true to the file, safe for a terminal, without secrets, and explained."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from gitrepo import EPOCH
from hypothesis import given
from hypothesis import strategies as st
from tiny import save_tiny

from git_copilot.assistant import adapters
from git_copilot.assistant.config import Settings
from git_copilot.assistant.explain import explain_hole
from git_copilot.assistant.samples import (
    CONTEXT_LINES,
    Wanted,
    choose_samples,
    iso_time,
    make_sample,
    readable,
)
from git_copilot.assistant.show import (
    BAR_WIDTH,
    ROWS,
    Look,
    bar,
    explanation_lines,
    figures_lines,
    printable,
    sample_lines,
    table,
    visible,
)
from git_copilot.index.errors import CopilotError
from git_copilot.index.mine import load_holes, mine
from git_copilot.index.survive import update_survival
from git_copilot.index.types import Hole

DAY = 86_400
SGR = re.compile("\x1b\\[[0-9;]*m")
# Put together here, so that no scanner takes this file for a leak.
KEY = "AKIA" + "Q7MD2XW4NB5TZKPH"


def hole(start=0, end=1, path="a.py", author="Ada <ada@example.org>"):
    return Hole("c" * 40, "b" * 40, path, start, end, "line", author, EPOCH, "python", 7)


def sample(text, middle, **more):
    data = text.encode()
    start = data.index(middle.encode())
    return make_sample(data, hole(start, start + len(middle.encode()), **more), 1.0, "stands")


def safe(line):
    """Nothing that a terminal obeys, tabs aside."""
    return not any(
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") and char != "\t" for char in line
    )


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300), st.data())
def test_a_sample_is_a_part_of_the_file_around_the_hole(text, data):
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
def test_nothing_of_a_file_reaches_the_terminal_as_a_command(before, middle, after, path, colour):
    text = before + middle + after
    start, end = (len(x.encode("utf-8", "replace")) for x in (before, before + middle))
    data = text.encode("utf-8", "replace")
    found = make_sample(data, hole(start, end, path=path, author=path), 0.5, path)
    for line in sample_lines(Look(colour=colour), found):
        plain = SGR.sub("", line) if colour else line
        assert safe(plain), ascii(plain)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("a\x7fb\x9bc", "a\u2421b\\u009bc"),
        ("caf\udce9", "caf\\xe9"),
        ("\u202eevil", "\\u202eevil"),
        ("new\nline\ttab", "new␊line␉tab"),
        ("é 漢 🙂", "é 漢 🙂"),
    ],
)
def test_control_characters_are_shown_not_sent(text, shown):
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
def test_white_space_that_begins_a_middle_is_visible(middle, shown):
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
    lines = sample_lines(Look(colour=True), sample(TEXT, "b = a\n    return os.path.join(b, a)"))
    assert "\x1b[2m    \x1b[0m\x1b[32m\x1b[1mb = a\x1b[0m" in lines[4]
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


def test_paths_and_times_of_strangers_are_text():
    found = sample("x = 1\n", "x", path="caf\udce9\n.py")
    assert found.fields()["path"] == "caf\ufffd\n.py" == readable("caf\udce9\n.py")
    json.dumps(found.fields()).encode()
    assert iso_time(10**18) == str(10**18)
    assert iso_time(-1).startswith("1969-12-31T23:59:59")


def test_long_lines_are_cut_on_the_side_away_from_the_middle():
    long = "".join(f"v{i:03}, " for i in range(100))
    _, line = sample_lines(Look(), sample(f"[{long}middle, {long}]", "middle"))
    assert "v099, ⟦middle⟧, v000" in line
    assert "v050" not in line


def test_bars_grow_with_the_share_and_only_nothing_has_none():
    assert bar(0) == "" and bar(1e-9) == "▏" and bar(1) == "█" * BAR_WIDTH
    lengths = [len(bar(i / 100)) for i in range(101)]
    assert lengths == sorted(lengths) and lengths[-1] == BAR_WIDTH
    assert bar(0.5) == "█" * (BAR_WIDTH // 2)


@pytest.mark.parametrize("bars", [True, False])
def test_of_many_rows_the_first_are_shown_and_the_rest_summed_up(bars):
    rows = {f"name {i}": 2000 - i for i in range(ROWS + 3)}
    lines = table(Look(bars=bars), "title", rows)
    assert lines[:2] == ["", "title"] and len(lines) == ROWS + 3
    rest = sum(list(rows.values())[ROWS:])
    assert lines[-1].split()[0] == (f"{rest:,}" if bars else str(rest))
    assert lines[-1].endswith("and 3 others")
    assert ("█" in lines[2]) is bars
    assert table(Look(), "title", {}) == ["", "title", "    none"]


def test_an_encoding_that_lacks_a_sign_gets_an_escape():
    assert Look(encoding="ascii").fit("⟦é⟧") == r"\u27e6\xe9\u27e7"
    assert Look().fit("⟦é⟧") == "⟦é⟧"


def function(name, lines=6):
    body = "".join(f"    {name}_{i} = combine(value, {name!r}, {i})\n" for i in range(lines))
    return f"def {name}(value):\n{body}    return value\n"


def fill(repo, found, db, commits=14):
    """A function a commit, two days apart; the language and the author change by turns."""
    for i in range(commits):
        when = f"{EPOCH + 2 * i * DAY} +0000"
        name = "Bob" if i % 2 else "Ada"
        repo.commit(
            {f"src/m{i}.py": function(f"step_{i}"), f"src/m{i}.js": f"let a{i} = go({i}, a);\n"},
            GIT_AUTHOR_NAME=name, GIT_AUTHOR_DATE=when, GIT_COMMITTER_DATE=when,
        )  # fmt: skip
    mine(found, db)
    update_survival(found, db)


def all_holes(repo, db):
    return load_holes(db, repo.git("rev-list", "--topo-order", "HEAD").split())


def test_samples_depend_on_the_seed_and_on_what_is_wanted(opened):
    repo, found, db = opened
    fill(repo, found, db)
    ten = choose_samples(found, db, 10, 1, Wanted())
    assert len({s.hole.id for s in ten}) == 10
    assert choose_samples(found, db, 10, 1, Wanted()) == ten
    assert choose_samples(found, db, 10, 2, Wanted()) != ten
    assert {
        s.hole.language for s in choose_samples(found, db, 5, 1, Wanted(language="python"))
    } == {"python"}
    assert {s.hole.kind for s in choose_samples(found, db, 5, 1, Wanted(kind="line"))} == {"line"}
    of_bob = choose_samples(found, db, 999, 1, Wanted(author="bOB"))
    assert len(of_bob) == sum("Bob" in h.author for h in all_holes(repo, db)) > 0
    for each in of_bob:
        data = found.read_blob(each.hole.blob).decode()
        assert each.before + each.middle + each.after in data


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Wanted(kind="nonsense"), "lines"),
        (Wanted(language="cobol"), "javascript, python"),
        (Wanted(author="nobody"), "as you wish"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(opened, wanted, words):
    repo, found, db = opened
    fill(repo, found, db)
    with pytest.raises(CopilotError, match=words):
        choose_samples(found, db, 3, 0, wanted)


def test_an_empty_corpus_has_no_samples(opened):
    _, found, db = opened
    for wanted in (Wanted(), Wanted(kind="line")):
        with pytest.raises(CopilotError, match="empty"):
            choose_samples(found, db, 3, 0, wanted)


def test_holes_whose_blob_is_gone_are_passed_over_or_told(opened):
    repo, found, db = opened
    fill(repo, found, db, commits=4)
    gone, *_ = all_holes(repo, db)
    (repo.git_dir / "objects" / gone.blob[:2] / gone.blob[2:]).unlink()
    shown = choose_samples(found, db, 999, 0, Wanted())
    assert (
        {s.hole.id for s in shown}
        == {h.id for h in all_holes(repo, db) if h.blob != gone.blob}
        != set()
    )
    with pytest.raises(CopilotError, match="gone"):
        explain_hole(found, db, Settings(), gone.id)


def says(explanation):
    return {rule.rule: (rule.says, rule.because) for rule in explanation.rules}


NO_MODEL = Settings(model="smollm2-135m")


def test_every_rule_speaks_of_a_hole_that_is_learnt_from(opened, tmp_path):
    repo, found, db = opened
    fill(repo, found, db, commits=20)
    last = all_holes(repo, db)[-1]
    folder = save_tiny(tmp_path / "tiny", fim=True)
    explanation = explain_hole(found, db, Settings(model=str(folder)), last.id)
    rules = says(explanation)
    assert {name: said for name, (said, _) in rules.items()} == dict.fromkeys(
        [
            "forgotten",
            "left out",
            "secret",
            "weight",
            "history",
            "held out",
            "newest",
            "duplicate",
            "size",
        ],
        "for",
    )
    assert explanation.taken
    fields = explanation.fields()
    assert fields["commit"] == last.commit and fields["blob"] == last.blob
    assert fields["subject"] == "change" and fields["adapters"] == []
    assert fields["survival"]["fate"] == "stands"
    assert fields["survival"]["head"] == repo.git("rev-parse", "HEAD")
    tokens = int(rules["size"][1].split()[0])
    assert 10 < tokens < 600 and "takes 2048" in rules["size"][1]
    text = "\n".join(explanation_lines(Look(), explanation))
    assert "every line of it stands at HEAD" in text and "a refresh now would learn from it" in text
    json.dumps(fields)


def test_a_held_out_hole_is_not_learnt_from(opened):
    repo, found, db = opened
    fill(repo, found, db, commits=20)
    first = all_holes(repo, db)[0]
    explanation = explain_hole(found, db, NO_MODEL, first.id)
    assert says(explanation)["held out"][0] == "against" and not explanation.taken
    assert says(explanation)["size"] == ("unknown", "the model smollm2-135m is not here to count"
                                         " tokens")  # fmt: skip
    assert "would leave it out" in explanation_lines(Look(), explanation)[-1]


def test_with_too_few_holes_nobody_knows_what_is_held_out(opened):
    repo, found, db = opened
    fill(repo, found, db, commits=2)
    rules = says(explain_hole(found, db, NO_MODEL, all_holes(repo, db)[0].id))
    assert rules["held out"][0] == "unknown" and "holes" in rules["held out"][1]


def add_hole(db, commit, blob, path, start, end):
    with db.transaction() as connection:
        return connection.execute(
            "INSERT INTO holes (commit_oid, blob, path, language, start_byte, end_byte, kind)"
            " VALUES (?, ?, ?, 'python', ?, ?, 'line')",
            (commit, blob, path.encode(), start, end),
        ).lastrowid


def test_a_copy_of_newer_code_names_it(opened):
    repo, found, db = opened
    oid = repo.commit({"src/first.py": function("same")})
    repo.commit({"src/second.py": function("same")})
    fill(repo, found, db, commits=20)
    newer = next(h for h in all_holes(repo, db) if h.path == "src/second.py")
    with db.transaction() as connection:
        connection.execute("DELETE FROM holes WHERE commit_oid = ?", (oid,))
    older = add_hole(db, oid, newer.blob, "src/first.py", newer.start, newer.end)
    assert says(explain_hole(found, db, NO_MODEL, newer.id))["duplicate"][0] == "for"
    said, because = says(explain_hole(found, db, NO_MODEL, older))["duplicate"]
    assert (said, because) == ("against", f"a near duplicate of hole {newer.id}, which is newer")


def test_a_copy_of_what_judges_names_it(opened):
    repo, found, db = opened
    oid = repo.commit({"src/first.py": function("step_19")})
    fill(repo, found, db, commits=20)
    judge = next(h for h in all_holes(repo, db) if h.path == "src/m19.py")
    with db.transaction() as connection:
        connection.execute("DELETE FROM holes WHERE commit_oid = ?", (oid,))
    older = add_hole(db, oid, judge.blob, "src/first.py", judge.start, judge.end)
    assert says(explain_hole(found, db, NO_MODEL, judge.id))["held out"][0] == "against"
    said, because = says(explain_hole(found, db, NO_MODEL, older))["copy"]
    assert said == "against" and because.startswith(f"like hole {judge.id},")


def test_what_was_taken_away_names_who_took_it_and_when(opened):
    repo, found, db = opened
    repo.commit({"src/gone.py": function("gone")})
    repo.git("rm", "-q", "src/gone.py")
    when = f"{EPOCH + 3 * DAY + 60} +0000"
    oid = repo.commit({}, "Drop \x1b[31mit", GIT_AUTHOR_DATE=when, GIT_COMMITTER_DATE=when)
    fill(repo, found, db, commits=20)
    first = next(h for h in all_holes(repo, db) if h.path == "src/gone.py")
    explanation = explain_hole(found, db, NO_MODEL, first.id)
    survival = explanation.facts["survival"]
    assert (survival["fate"], survival["stands"], survival["days"]) == ("rewritten", 0.0, 3.0)
    assert (survival["died_commit"], survival["died_subject"]) == (oid, "Drop \x1b[31mit")
    assert says(explanation)["weight"][0] == "against" and not explanation.taken
    line = next(x for x in explanation_lines(Look(), explanation) if x.startswith("survival"))
    assert line == (
        f"survival  rewritten after 3 days by {oid[:10]} (Drop ␛[31mit); "
        "0% of its lines stand at HEAD"
    )


def test_secrets_what_is_forgotten_and_other_branches_speak_against(opened):
    repo, found, db = opened
    fill(repo, found, db, commits=20)
    repo.git("checkout", "-q", "--orphan", "other")
    repo.git("rm", "-rfq", ".")
    repo.commit({"src/key.py": f"def connect():\n    return open_session(name, '{KEY}', 1)\n"})
    mine(found, db)
    repo.git("checkout", "-q", "main")
    data = f"def connect():\n    return open_session(name, '{KEY}', 1)\n".encode()
    with db.transaction() as connection:
        connection.execute("INSERT INTO forgotten VALUES ('path', 'src/key.py', 0)")
    number = add_hole(
        db,
        repo.git("rev-parse", "other"),
        repo.git("rev-parse", "other:src/key.py"),
        "src/key.py",
        data.index(b"open_session"),
        len(data) - 1,
    )
    explanation = explain_hole(found, db, NO_MODEL, number)
    rules = says(explanation)
    assert [rules[name][0] for name in ("secret", "forgotten", "history")] == ["against"] * 3
    assert rules["secret"][1] == "line 2 looks like a secret"
    assert KEY not in json.dumps(explanation.fields())
    assert explanation.facts["survival"]["fate"] == "unknown"


def test_adapters_that_learnt_from_the_commit_are_named(opened):
    repo, found, db = opened
    fill(repo, found, db, commits=3)
    first, *_, last = all_holes(repo, db)
    folder = adapters.adapters_dir(found.state_dir) / "20261121-034512-ab12"
    folder.mkdir(parents=True)
    (folder / adapters.COMMITS).write_text(f"{last.commit}\n")
    assert explain_hole(found, db, NO_MODEL, last.id).facts["adapters"] == [folder.name]
    explanation = explain_hole(found, db, NO_MODEL, first.id)
    assert explanation.facts["adapters"] == []


@pytest.mark.parametrize("number", [0, 10**9, 2**63, 10**30])
def test_an_unknown_hole_is_one_line(opened, number):
    _, found, db = opened
    with pytest.raises(CopilotError, match=f"no hole {number}"):
        explain_hole(found, db, Settings(), number)


def test_names_of_strangers_in_the_figures_are_harmless():
    evil = {"\x1b[2J\u202e": 1}
    figures = {
        "holes": 1, "commits": 1, "authors": 1, "tests": {"code": 1, "tests": 0}, "left_out": {},
        "kind": evil, "language": evil, "author": evil, "month": evil, "status": evil,
        "survival": {"rewritten": {"holes": 1, "share": 1.0, "median_days": 1234.5}},
    }  # fmt: skip
    lines = figures_lines(Look(bars=True), figures)
    assert all(safe(line) for line in lines)
    assert any("100.0%, half of them within 1,234.5 days" in line for line in lines)
