"""Feedback becomes an example when a commit shows what was written, and leaves nothing else."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from git_copilot.index import feedback, harvest
from git_copilot.index.cuts import Span
from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.errors import CopilotError
from git_copilot.index.feedback import Shown, counts, feedback_weights, figures, record_shown
from git_copilot.index.git import GitRepository
from git_copilot.index.mine import load_holes, mine
from git_copilot.index.outcome import Text, spot_of, what_became
from git_copilot.index.resolve import MAX_TRIES

HEAD = "import math\n\n\ndef area(width, height):\n    total = width * height\n"
TAIL = "    return total\n\n\ndef unrelated(value):\n    return math.floor(value)\n"
NOW = int(time.time())


@pytest.fixture
def opened(repo, tmp_path):
    repo._clock = NOW - 61  # the first commit is older than what is shown now, others are not
    db = Database(tmp_path / DATABASE_NAME, create=True)
    yield GitRepository.discover(repo.path), db
    db.close()


def show(db, buffer, completion, *, path="a.py", name="c1", when=NOW, model="m", adapter=None):
    """Record a completion shown at the mark ``|`` of a buffer."""
    prefix, _, suffix = buffer.replace("\r\n", "\n").partition("|")
    spot = spot_of(prefix, suffix, prefix.count("\n") + 1)
    record_shown(db, Shown(name, when, path, spot, completion, model, adapter))


def examples(git, db):
    """The middles of the holes that feedback made, by commit, each with its weight. Checks that
    prefix, middle and suffix are the blob."""
    found = {}
    oids = [str(oid) for (oid,) in db.query("SELECT oid FROM commits")]
    for hole in load_holes(db, oids):
        if hole.kind != "completion":
            continue
        data = git.read_blob(hole.blob)
        prefix, middle, suffix = data[: hole.start], data[hole.start : hole.end], data[hole.end :]
        assert prefix + middle + suffix == data
        weight = feedback_weights(db, [hole.id])[hole.id]
        found.setdefault(hole.commit, []).append(
            (middle.decode(), weight, prefix.decode().rpartition("\n")[2])
        )
    return found


def reported(db):
    return [str(name) for (name,) in db.query("SELECT id FROM feedback ORDER BY id")]


ACCEPTED = [
    # buffer with the cursor, completion, what is committed, the middle, its weight
    pytest.param("    area = |\n", "total * 2", "    area = total * 2\n", "total * 2", 1.0, id="kept"),
    pytest.param(
        "    area = |\n", "total * 2", "    area = total * 2 + width\n", "total * 2", 1.0,
        id="kept, and the line goes on",
    ),
    pytest.param(
        "    area = |\n", "to", "    area = total(width)\n", "total(width)", 1.5,
        id="only part of a word is left of it",
    ),
    pytest.param(
        "    area = |\n", "total * 2", "    area = height - width\n", "height - width", 1.5,
        id="rewritten",
    ),
    pytest.param(
        "    area = max(|)\n", "total, 1", "    area = max(total, width)\n", "total, width", 1.5,
        id="up to the bracket behind the cursor",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1\n", "    if total:\n        total += 1\n",
        "if total:\n        total += 1", 1.0, id="several lines kept",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1\n",
        "    if width:\n        total -= height\n    print(total)\n    print(width)\n",
        "if width:\n        total -= height\n    print(total)", 1.5,
        id="several lines rewritten, three are taken",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1\n", "    total += bool(total)\n",
        "total += bool(total)", 1.5, id="up to the line that stood below",
    ),
    pytest.param(
        "    if total:|\n", "\n        total += 1", "    if total:\n        total += 1\n",
        "\n        total += 1", 1.0, id="begins with a line end",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1", "    if total: \n        total += 1\t\n",
        "if total: \n        total += 1", 1.0, id="space at line ends does not matter",
    ),
    pytest.param(
        "    |\n", "if total:  \n\t\n        total += 1", "    if total:\n\n        total += 1\n",
        "if total:\n\n        total += 1", 1.0, id="nor what of it was taken away",
    ),
    pytest.param(
        "    |\n", "if total:\n        total += 1", "    total = 1\n\n    \n", "total = 1", 1.5,
        id="without blank lines at the end",
    ),
    pytest.param(
        "    |\n", "area = total", "    height += 1\n    area = total\n", "area = total", 1.0,
        id="kept below a line that came later",
    ),
]  # fmt: skip


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("line", "completion", "written", "middle", "weight"), ACCEPTED)
def test_an_accepted_completion_becomes_what_was_committed(
    repo, opened, line, completion, written, middle, weight, newline
):
    git, db = opened
    repo.commit({"a.py": (HEAD + TAIL).replace("\n", newline)})
    mine(git, db)
    show(db, HEAD + line + TAIL, completion)
    feedback.report(db, "c1", "accepted")
    oid = repo.commit({"a.py": (HEAD + written + TAIL).replace("\n", newline)})
    mine(git, db)
    before = line.partition("|")[0]
    assert examples(git, db) == {oid: [(middle.replace("\n", newline), weight, before)]}
    assert counts(db)["examples"] == 1 and counts(db)["pending"] == 0


@pytest.mark.parametrize(("line", "completion", "written", "middle", "weight"), ACCEPTED)
def test_a_file_that_is_new_as_a_whole_gives_the_same(
    repo, opened, line, completion, written, middle, weight
):
    git, db = opened
    show(db, HEAD + line + TAIL, completion)
    feedback.report(db, "c1", "accepted")
    repo.commit({})
    oid = repo.commit({"a.py": HEAD + written + TAIL})
    mine(git, db)
    assert examples(git, db) == {oid: [(middle, weight, line.partition("|")[0])]}


def test_an_edited_one_ends_where_the_editor_says_if_it_stands_there(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback.report(db, "c1", "edited", "total * 3\r\n    area -= 1")
    oid = repo.commit({"a.py": HEAD + "    area = total * 3\n    area -= 1  # why\n" + TAIL})
    mine(git, db)
    assert examples(git, db) == {oid: [("total * 3\n    area -= 1", 1.5, "    area = ")]}


def test_a_rejected_one_becomes_what_the_person_wrote(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    show(db, HEAD + "    area = total * 2\n    other = |\n" + TAIL, "width", name="c2")
    for name in ("c1", "c2"):
        feedback.report(db, name, "rejected")
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n    other = height + 1\n" + TAIL})
    mine(git, db)
    # The first was rejected, and then written all the same: the model was right.
    assert examples(git, db) == {
        oid: [("total * 2", 1.0, "    area = "), ("height + 1", 1.5, "    other = ")]
    }


def test_shown_alone_tells_nothing(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    assert examples(git, db) == {} and reported(db) == ["c1"]


def test_characters_of_several_bytes_before_the_cursor(repo, opened):
    git, db = opened
    repo.commit({"a.py": "\ufeff" + HEAD + TAIL})
    show(db, HEAD + "    größe = 'ü€😀' + |\n" + TAIL, "str(total)")
    show(db, "größe = |\n" + HEAD + TAIL, "größer(3)", name="c2")
    feedback.report(db, "c1", "accepted")
    feedback.report(db, "c2", "accepted")
    text = "\ufeffgröße = größer(3)\n" + HEAD + "    größe = 'ü€😀' + str(total)\n" + TAIL
    oid = repo.commit({"a.py": text})
    mine(git, db)
    assert examples(git, db) == {
        oid: [
            ("größer(3)", 1.0, "\ufeffgröße = "),
            ("str(total)", 1.0, "    größe = 'ü€😀' + "),
        ]
    }


@pytest.mark.parametrize("together", [True, False], ids=["one commit", "renamed first"])
def test_a_renamed_file_is_followed(repo, opened, together):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    |\n" + TAIL, "return total, width")
    feedback.report(db, "c1", "rejected")
    repo.git("mv", "a.py", "b ü.py")
    if not together:
        repo.commit({}, "rename")
        mine(git, db)
        assert examples(git, db) == {}
    oid = repo.commit({"b ü.py": HEAD + "    return width, height\n" + TAIL})
    mine(git, db)
    assert examples(git, db) == {oid: [("return width, height", 1.5, "    ")]}
    assert load_holes(db, [oid])[0].path == "b ü.py"


def test_a_file_that_is_not_indexed_gives_nothing(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL, "b.py": HEAD + TAIL, ".copilotignore": "a.py\n"})
    for name in "ab":
        show(db, HEAD + "    area = |\n" + TAIL, "total * 2", path=f"{name}.py", name=name)
        feedback.report(db, name, "accepted")
    text = HEAD + "    area = total * 2\n" + TAIL
    oid = repo.commit({"a.py": text, "b.py": text})
    mine(git, db)
    assert [hole.path for hole in load_holes(db, [oid]) if hole.kind == "completion"] == ["b.py"]


def test_commits_that_are_not_mined_give_nothing_but_move_files(repo, opened):
    git, db = opened
    bot = {"GIT_AUTHOR_NAME": "mover[bot]"}
    repo.commit({"a.py": HEAD + TAIL, "b.py": HEAD + TAIL})
    for name in "ab":
        show(db, HEAD + "    area = |\n" + TAIL, "total * 2", path=f"{name}.py", name=name)
        feedback.report(db, name, "accepted")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL}, **bot)
    repo.git("mv", "b.py", "c.py")
    repo.commit({}, **bot)
    mine(git, db)
    assert examples(git, db) == {} and db.scalar("SELECT max(tries) FROM feedback") == 0
    oid = repo.commit({"c.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    assert examples(git, db) == {oid: [("total * 2", 1.0, "    area = ")]}


@pytest.mark.parametrize("collected", [False, True], ids=["kept", "collected"])
def test_an_amended_commit_has_the_last_word(repo, opened, collected):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback.report(db, "c1", "accepted")
    first = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    assert examples(git, db) == {first: [("total * 2", 1.0, "    area = ")]}
    repo.write({"a.py": HEAD + "    area = total ** 2\n" + TAIL})
    repo.git("commit", "-q", "-a", "--amend", "-m", "amended")
    if collected:
        repo.git("reflog", "expire", "--expire=now", "--all")
        repo.git("gc", "-q", "--prune=now")
        assert not git.has_object(first)
    mine(git, db)
    second = repo.git("rev-parse", "HEAD")
    assert examples(git, db) == {second: [("total ** 2", 1.5, "    area = ")]}


def test_a_commit_that_is_forgotten_gives_its_feedback_back(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback.report(db, "c1", "accepted")
    first = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    with db.transaction() as connection:
        connection.execute("DELETE FROM commits WHERE oid = ?", (first,))
    assert counts(db)["examples"] == 0 and counts(db)["pending"] == 1
    mine(git, db)
    assert list(examples(git, db)) == [first]


def test_two_at_one_place_share_what_was_written(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "height")
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2", name="c2")
    feedback.report(db, "c1", "rejected")
    feedback.report(db, "c2", "accepted")
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    # One example; the model was wrong there once.
    assert examples(git, db) == {oid: [("total * 2", 1.5, "    area = ")]}
    assert counts(db)["examples"] == 1 and counts(db)["pending"] == 0


def test_lines_added_above_and_twins_do_not_mislead(repo, opened):
    git, db = opened
    block = "def {0}(item):\n    kind = item.kind\n    result = |\n    return result\n\n\n"
    repo.commit({"a.py": HEAD + TAIL})
    names = ("alpha", "beta", "gamma")
    buffer = HEAD + TAIL + "".join(block.format(n) for n in names)
    marked = buffer.replace("|", "None", 1).replace("|", "\0", 1).replace("|", "None")
    show(db, marked.replace("\0", "|"), "load(kind)")
    feedback.report(db, "c1", "rejected")
    written = marked.replace("\0", "dump(kind)")
    oid = repo.commit({"a.py": '"""New."""\n' + "\n".join(["A = 1"] * 30) + "\n" + written})
    mine(git, db)
    assert examples(git, db) == {oid: [("dump(kind)", 1.5, "    result = ")]}


def test_of_places_that_read_the_same_the_nearest_is_taken(repo, opened):
    git, db = opened
    block = (
        "    kind = item.kind\n    first = kind.first\n    other = kind.other\n    result = {}\n"
    )
    repo.commit({"a.py": HEAD + TAIL})
    lines = [block.format(name) for name in ("one(kind)", "two(kind)", "three(kind)", "four(kind)")]
    buffer = HEAD + lines[0] + block.format("|") + lines[2] + lines[3] + TAIL
    show(db, buffer, "load(kind)")
    feedback.report(db, "c1", "rejected")
    oid = repo.commit({"a.py": HEAD + "".join(lines) + TAIL})
    mine(git, db)
    assert examples(git, db) == {oid: [("two(kind)", 1.5, "    result = ")]}


def test_what_was_rejected_is_not_looked_for_where_it_stands_already(repo, opened):
    git, db = opened
    block = "def {}(kind):\n    x = {}\n    return x\n\n\n"
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + TAIL + block.format("a", "load(kind)") + block.format("b", "|"), "load(kind)")
    feedback.report(db, "c1", "rejected")
    written = block.format("a", "load(kind)") + block.format("b", "dump(kind)")
    oid = repo.commit({"a.py": HEAD + TAIL + written})
    mine(git, db)
    assert examples(git, db) == {oid: [("dump(kind)", 1.5, "    x = ")]}


def test_what_is_never_committed_leaves_nothing(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL, "b.py": TAIL})
    mine(git, db)
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback.report(db, "c1", "accepted")
    repo.commit({"b.py": HEAD + "    area = total * 2\n" + TAIL})  # another file
    mine(git, db)
    assert db.scalar("SELECT tries FROM feedback") == 0
    for number in range(MAX_TRIES):
        assert reported(db) == ["c1"]
        repo.commit({"a.py": HEAD + TAIL + f"\n\ndef number_{number}(x):\n    return x + total\n"})
        mine(git, db)
    assert reported(db) == [] and examples(git, db) == {}
    assert figures(db)["accepted"] == 1, "people see what was taken all the same"


def test_commits_made_before_tell_nothing(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2", when=NOW + 7200)
    show(db, HEAD + "    area = |\n" + TAIL, "total", path="b.py", name="c2")
    feedback.report(db, "c1", "accepted")
    feedback.report(db, "c2", "accepted")
    mine(git, db)
    assert examples(git, db) == {} and db.scalar("SELECT max(tries) FROM feedback") == 0


def test_text_that_the_commit_did_not_add_is_not_taken(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    show(db, HEAD + "    area = |total * 2\n" + TAIL, "width")
    feedback.report(db, "c1", "rejected")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL + "print(area)\n"})
    mine(git, db)
    assert examples(git, db) == {} and reported(db) == ["c1"]


@pytest.mark.parametrize(
    ("path", "line", "completion"),
    [
        ("a.py", "    # @generated\n    area = |\n", "total * 2"),
        ("a.py", "    key = |\n", "'AKIAIOSFODNN7REALKEY'"),
        ("notes.txt", "    area = |\n", "total * 2"),
        ("vendor/a.py", "    area = |\n", "total * 2"),
        ("a.py", "    area = (total|\n", ")"),
        ("a.py", "    area = |\n", "x" * 80),
    ],
    ids=["generated", "secret", "prose", "vendored", "no letter", "a hash"],
)
def test_what_the_corpus_does_not_take_is_not_taken_from_feedback(
    repo, opened, path, line, completion
):
    git, db = opened
    repo.commit({path: HEAD + TAIL})
    show(db, HEAD + line + TAIL, completion, path=path)
    feedback.report(db, "c1", "accepted")
    repo.commit({path: HEAD + line.replace("|", completion) + TAIL})
    mine(git, db)
    assert examples(git, db) == {}


def test_a_line_that_nobody_wrote_is_not_made_up(repo, opened):
    """In a file that is new as a whole, what stood below the cursor is no answer either."""
    git, db = opened
    for number, line in enumerate(["    |\n", "|\n", "    area = total|\n"]):
        show(db, HEAD + line + TAIL, "return width, height", name=f"c{number}")
        feedback.report(db, f"c{number}", "rejected")
    repo.commit({})
    repo.commit({"a.py": HEAD + TAIL})
    mine(git, db)
    assert examples(git, db) == {}


def test_a_hole_cut_at_the_same_place_by_chance_becomes_this_one(repo, opened, monkeypatch):
    git, db = opened
    start = len((HEAD + "    area = ").encode())
    span = Span(start, start + len("total * 2"), "line")
    monkeypatch.setattr(harvest, "choose_spans", lambda *given: [span])
    repo.commit({})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback.report(db, "c1", "accepted")
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    (hole,) = load_holes(db, [oid])
    assert (hole.start, hole.end, hole.kind) == (span.start, span.end, "completion")
    assert feedback_weights(db, [hole.id]) == {hole.id: 1.0}


def test_the_last_word_wins_and_saying_it_twice_changes_nothing(opened):
    _, db = opened
    show(db, HEAD + "    area = |\n", "total * 2")
    show(db, HEAD + "    area = |\n", "total * 2")
    said = [("accepted", None), ("accepted", None), ("edited", "x + 1"), ("edited", None)]
    for outcome, final in said:
        feedback.report(db, "c1", outcome, final)
    assert db.query("SELECT outcome, final FROM feedback") == [("edited", "x + 1")]
    assert figures(db)["shown"] == figures(db)["edited"] == 1
    assert figures(db)["accepted"] == figures(db)["rejected"] == 0
    feedback.report(db, "c1", "rejected")
    assert db.query("SELECT outcome, final FROM feedback") == [("rejected", None)]
    assert figures(db)["rejected"] == 1 and figures(db)["edited"] == 0


def test_the_commit_has_the_last_word_on_what_stands_there(repo, opened):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback.report(db, "c1", "edited", "total * 2\r\n")
    assert db.query("SELECT final FROM feedback") == [(None,)], "that is the completion"
    oid = repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    feedback.report(db, "c1", "rejected", "width")
    assert db.query("SELECT outcome, final FROM feedback") == [("rejected", None)]
    assert examples(git, db) == {oid: [("total * 2", 1.0, "    area = ")]}


def test_an_unknown_completion_is_one_line(opened):
    _, db = opened
    with pytest.raises(CopilotError, match="no completion 'c9' is kept here"):
        feedback.report(db, "c9", "accepted")
    with pytest.raises(CopilotError, match="is kept here"):
        feedback.report(db, "\udcff", "accepted")


def test_any_text_can_be_kept(opened):
    _, db = opened
    show(db, "\udcff = |", "a\ud800\r\nb", path="\udcff.py", model="/m\udcff")
    feedback.report(db, "c1", "edited", "\udfff\r\n")
    (known,) = feedback.reported_since(db, 0)
    assert known.shown.path == "\udcff.py"
    assert (known.shown.completion, known.final) == ("a?\nb", "?\n")


def test_rows_are_bounded_and_the_figures_do_not_suffer(opened, monkeypatch):
    _, db = opened
    monkeypatch.setattr(feedback, "MOST", {"shown": 5, "accepted": 4, "edited": 3, "rejected": 2})
    for number in range(40):
        show(db, "x = |", "y", name=f"c{number:02}", when=NOW - 40 + number)
        outcome = ("shown", *feedback.OUTCOMES)[number % 4]
        if outcome != "shown":
            feedback.report(db, f"c{number:02}", outcome)
    kept = dict(db.query("SELECT outcome, count(*) FROM feedback GROUP BY 1"))
    # The last one shown had pushed out a fifth, and was then accepted.
    assert kept == {"shown": 4, "accepted": 4, "edited": 3, "rejected": 2}
    newest = "SELECT id FROM feedback WHERE outcome = 'rejected' ORDER BY 1"
    assert db.query(newest) == [("c35",), ("c39",)]
    assert counts(db) == {
        "shown": 40, "accepted": 10, "edited": 10, "rejected": 10, "pending": 9, "examples": 0,
    }  # fmt: skip


def test_at_most_two_thousand_wait():
    assert sum(feedback.MOST.values()) <= 2000
    assert set(feedback.MOST) == {"shown", *feedback.OUTCOMES}


def test_old_rows_go(opened):
    _, db = opened
    old = NOW - feedback.KEEP_SECONDS - 10
    show(db, "x = |", "y", name="old", when=old)
    show(db, "x = |", "y", name="older", when=old)
    feedback.report(db, "older", "accepted")
    show(db, "x = |", "y", name="new")
    assert reported(db) == ["new"]


def test_examples_stay_when_the_rows_are_bounded(repo, opened, monkeypatch):
    git, db = opened
    repo.commit({"a.py": HEAD + TAIL})
    show(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback.report(db, "c1", "accepted")
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine(git, db)
    monkeypatch.setattr(feedback, "MOST", dict.fromkeys(feedback.MOST, 0))
    show(db, "x = |", "y", name="c2", when=NOW + feedback.KEEP_SECONDS * 2)
    assert reported(db) == ["c1"]


def test_figures_are_by_day_and_by_model(opened):
    _, db = opened
    day = feedback.DAY_SECONDS
    for name, when, adapter, outcome in [
        ("a", NOW, None, "accepted"), ("b", NOW, "lora-1", "edited"), ("c", NOW, "lora-1", None),
        ("d", NOW - day, "lora-1", "rejected"), ("e", NOW - 30 * day, None, "accepted"),
    ]:  # fmt: skip
        show(db, "x = |", "y", name=name, when=when, adapter=adapter)
        if outcome is not None and name != "e":
            feedback.report(db, name, outcome)
    found = figures(db, NOW)
    assert {k: v for k, v in found.items() if not k.startswith("by_")} == {
        "days": 30, "shown": 4, "accepted": 1, "edited": 1, "rejected": 1, "acceptance_rate": 0.5,
    }  # fmt: skip
    days = [(d["day"], d["shown"], d["acceptance_rate"]) for d in found["by_day"]]
    assert days == [
        (time.strftime("%F", time.gmtime(NOW)), 3, 0.6667),
        (time.strftime("%F", time.gmtime(NOW - day)), 1, 0.0),
    ]
    models = [(m["model"], m["adapter"], m["shown"]) for m in found["by_model"]]
    assert models == [("m", "lora-1", 3), ("m", None, 1)]
    assert figures(db, NOW - 300 * day)["by_day"][-1]["shown"] == 1
    assert figures(db, NOW + 300 * day)["acceptance_rate"] is None


LINES = st.sampled_from(
    ["", "x = call(a, b)", "    return é + 'ü'", "\t\tif a:", "}", "    ", "def f(a):", "    b = 1"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(LINES, min_size=1, max_size=12),
    st.data(),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_a_span_begins_behind_the_text_before_the_cursor(lines, data, newline, taken):
    """Whatever is committed: the span is at a place that reads as the cursor's line did, in or
    next to an added line, at whole characters and line ends; and what is said to be unchanged is
    what was shown."""
    row = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[row])))
    completion = "\n".join(data.draw(st.lists(LINES, min_size=1, max_size=3)))
    buffer_prefix = "\n".join([*lines[:row], lines[row][:column]])
    buffer_suffix = "\n".join([lines[row][column:], *lines[row + 1 :]])
    spot = spot_of(buffer_prefix, buffer_suffix, row + 1)
    kept = data.draw(st.sampled_from([completion, data.draw(LINES), ""]))
    written = (buffer_prefix + kept + buffer_suffix).split("\n")
    written[row:row] = data.draw(st.lists(LINES, max_size=2))
    blob = newline.join(written).encode()
    added = data.draw(st.sets(st.integers(1, len(written))))
    text = Text(blob)
    found = what_became(text, [(n, 1) for n in sorted(added)], spot, completion, taken=taken)
    if found is None:
        return
    prefix, middle, suffix = blob[: found.start], blob[found.start : found.end], blob[found.end :]
    assert prefix.decode().rpartition("\n")[2] == spot.before
    first = prefix.count(b"\n") + 1
    assert added & {first, first + 1}
    assert not (prefix.endswith(b"\r") or middle.endswith((b"\r", b"\n")))
    assert not (suffix.startswith(b"\n") and newline == "\r\n")
    if not found.changed:
        same = [line.rstrip() for line in middle.decode().split(newline)]
        assert same == [line.rstrip() for line in completion.rstrip().split("\n")]
