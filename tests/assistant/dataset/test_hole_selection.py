"""The holes chosen for training: weighted, balanced, and without knowledge of later commits."""

from __future__ import annotations

import pytest

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import read_cuts
from git_copilot.assistant.dataset.hole_selection import (
    FEW_HOLES,
    at_fim_rate,
    balanced,
    before_held_out,
    choose_source,
    is_forgotten,
    is_snapshot,
    training_holes,
    tree_holes,
)
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.survival import update_survival
from git_copilot.index.store.forget import Forgotten, forget
from tests.support.histories import dates_of_day, function, merge_a_side_branch, newest_first


@pytest.mark.parametrize(
    ("source", "holes", "expected"),
    [
        ("auto", FEW_HOLES - 1, "both"),
        ("auto", FEW_HOLES, "commits"),
        ("snapshot", 10**6, "snapshot"),
        ("commits", 0, "commits"),
    ],
)
def test_auto_adds_the_snapshot_when_commits_give_few_holes(source, holes, expected):
    assert choose_source(source, holes) == expected


@pytest.fixture
def history(opened_repo):
    """Six files; the two newest commits are held out, and one of them rewrites an old file."""
    repo, found, db = opened_repo
    names = ["one", "two", "three", "four"]
    oids = [
        repo.commit({f"src/{n}.py": function(n)}, **dates_of_day(i)) for i, n in enumerate(names)
    ]
    oids.append(repo.commit({"src/one.py": function("other")}, **dates_of_day(5)))
    oids.append(repo.commit({"src/new.py": function("new")}, **dates_of_day(6)))
    mine(found, db)
    update_survival(found, db)
    return found, db, oids[::-1]


def taken(history, source, held=2, **more):
    found, db, commits = history
    settings = Settings(corpus_source=source)
    return training_holes(found, db, settings, commits[held:], commits[held], **more)


def test_holes_of_commits_are_newest_first(history):
    _, db, commits = history
    assert Settings().corpus_source == "both"
    assert list(taken(history, "commits")) == load_holes(db, commits[2:])


@pytest.mark.parametrize("source", ["commits", "snapshot", "both"])
def test_rules_added_after_mining_are_obeyed(history, opened_repo, source):
    repo, found, db = opened_repo
    assert "src/two.py" in {hole.path for hole in taken(history, source)}
    repo.commit({".copilotignore": "two.py\n"})
    mine(found, db)
    assert {hole.path for hole in taken(history, source)} == {
        f"src/{name}.py" for name in ("one", "three", "four")
    }


def test_survival_weights_ignore_held_out_commits(history):
    """The first file was rewritten within a week, but only by a held-out commit."""
    _, db, commits = history
    assert set(taken(history, "commits").values()) == {1.0}
    later = taken(history, "commits", held=1)
    rewritten = [hole for hole in load_holes(db, commits[-1:]) if hole not in later]
    assert rewritten
    assert all(hole.commit != commits[0] for hole in later)


def test_the_snapshot_is_the_tree_before_the_held_out_commits(history):
    found, _, commits = history
    holes = taken(history, "snapshot")
    assert holes and set(holes.values()) == {1.0}
    assert {hole.commit for hole in holes} == {commits[2]}
    assert {hole.path for hole in holes} == {f"src/{n}.py" for n in ("one", "two", "three", "four")}
    assert all(is_snapshot(hole) for hole in holes)
    texts = [cut.prefix + cut.middle + cut.suffix for cut in read_cuts(found, list(holes))]
    assert len(texts) == len(holes)
    assert not any("other_" in text or "new_" in text for text in texts)


def test_files_that_were_changed_last_come_first(opened_repo):
    repo, found, db = opened_repo
    for name in ("one", "two", "three"):
        repo.commit({f"{name}.py": function(name)})
    tip = repo.commit({"one.py": function("again")})
    assert [hole.path for hole in tree_holes(found, db, tip)] == ["one.py", "three.py", "two.py"]


def test_snapshot_and_commit_holes_never_overlap(history):
    holes = list(taken(history, "both"))
    standing = [hole for hole in holes if is_snapshot(hole)]
    written = [hole for hole in holes if not is_snapshot(hole)]
    assert holes == [*standing, *written]
    assert written == list(taken(history, "commits"))
    assert len(standing) < len(taken(history, "snapshot"))
    for one in standing:
        for other in written:
            if (one.path, one.blob) == (other.path, other.blob):
                assert one.end <= other.start or other.end <= one.start


def test_a_limit_is_kept_and_gives_commits_a_quarter(history):
    written = list(taken(history, "commits"))
    few = list(taken(history, "both", most=4))
    assert [is_snapshot(hole) for hole in few] == [True] * 3 + [False]
    assert few[3:] == written[:1]
    assert few == list(taken(history, "both", most=4))
    assert len(taken(history, "snapshot", most=2)) == 2
    assert list(taken(history, "commits", most=4)) == written[:4]
    assert taken(history, "commits", most=10**6).keys() == set(written)


def test_no_snapshot_when_every_commit_is_held_out(history):
    found, db, _ = history
    assert training_holes(found, db, Settings(corpus_source="both"), [], None) == {}


def test_forgotten_holes_are_not_trained_on(history):
    _, db, _ = history
    forget(db, "path", "src/two.py")
    for source in ("commits", "snapshot", "both"):
        paths = {hole.path for hole in taken(history, source)}
        assert paths == {"src/one.py", "src/three.py", "src/four.py"}


def hole(path="a.py", start=0, author="Ada <a@b>", commit="c" * 40):
    return Hole(commit, "b", path, start, start + 5, "line", author, 0, "python")


@pytest.mark.parametrize(
    ("forgotten", "applies"),
    [
        (Forgotten(paths=("src",)), True),
        (Forgotten(paths=("a.py",)), False),
        (Forgotten(commits=frozenset({"c" * 40})), True),
        (Forgotten(authors=("Ada",)), True),
        (Forgotten(authors=("Bob",)), False),
    ],
)
def test_forgetting_matches_path_commit_or_author(forgotten, applies):
    assert is_forgotten(forgotten, hole("src/a.py")) is applies


def test_tests_weigh_at_most_as_much_as_code():
    weights = {hole("a.py"): 1.0, hole("b.py"): 0.5}
    weights |= {hole("tests/test_a.py", start): 0.5 for start in range(12)}
    even = balanced(weights)
    assert sum(v for h, v in even.items() if "tests" in h.path) == pytest.approx(1.5)
    assert {h: v for h, v in even.items() if "tests" not in h.path} == {
        hole("a.py"): 1.0,
        hole("b.py"): 0.5,
    }
    few = {hole("a.py"): 1.0, hole("tests/test_a.py"): 0.5}
    assert balanced(few) == few
    only = {hole("tests/test_a.py"): 0.5}
    assert balanced(only) == only


def test_half_of_the_snapshot_holes_have_no_suffix(history):
    found, _, _ = history
    cuts = read_cuts(found, list(taken(history, "both")))
    again = at_fim_rate(cuts * 10, seed=0)
    assert again == at_fim_rate(cuts * 10, seed=0)
    for before, after in zip(cuts, again, strict=False):
        assert (before.prefix, before.middle) == (after.prefix, after.middle)
        assert after.suffix in ((before.suffix,) if before.hole.author else (before.suffix, ""))
    standing = [hole(str(i), author="") for i in range(400)]
    template = cuts[0]
    made = [type(template)(h, "p", "m", "s") for h in standing]
    share = sum(bool(cut.suffix) for cut in at_fim_rate(made, seed=0)) / len(made)
    assert 0.4 < share < 0.6
    assert all(cut.suffix for cut in at_fim_rate(made, 0, rate=1.0))
    assert not any(cut.suffix for cut in at_fim_rate(made, 0, rate=0.0))


def test_older_commits_start_after_the_last_held_out_one(opened_repo):
    repo, found, _ = opened_repo
    root, side, main = merge_a_side_branch(repo)
    commits = newest_first(repo)
    for held in (main, side):
        older, cut = before_held_out(found, commits, [hole(commit=held)])
        assert cut == root
        assert older == commits[commits.index(held) + 1 :]
    assert before_held_out(found, commits, [hole(commit=root)]) == ([], None)
    assert before_held_out(found, commits, []) == (commits, commits[0])
    assert before_held_out(found, [], []) == ([], None)
