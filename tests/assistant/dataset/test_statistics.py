"""Statistics of the corpus: what was written, by whom, and what became of it."""

from __future__ import annotations

import pytest

from git_copilot.assistant.dataset.hole_selection import find_holes
from git_copilot.assistant.dataset.statistics import corpus_figures, fate, reverted_by
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.survival import Survival, update_survival
from tests.support.histories import dates_of_day, function, newest_first


def by(name):
    return {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": f"{name.lower()}@example.org"}


@pytest.fixture
def repo_with_fates(opened_repo):
    """Code that stands, code rewritten after 100 days, code reverted after one, and tests."""
    repo, found, db = opened_repo
    repo.commit({"src/stands.py": function("stands"), "notes.md": "x\n"}, **dates_of_day(0))
    repo.commit({"src/old.js": "let oldest = compute(first, second);\n" * 3}, **dates_of_day(0))
    repo.commit({"tests/test_it.py": function("test_it")}, **dates_of_day(40), **by("Bob"))
    bad = repo.commit({"src/bad.py": function("bad")}, **dates_of_day(50), **by("Bob"))
    repo.git("revert", "--no-edit", bad, **dates_of_day(51))
    new = "const rewritten = another(thing, entirely);\n" * 3
    repo.commit({"src/old.js": new, "vendor/x.py": function("x")}, **dates_of_day(100))
    mine(found, db)
    return repo, found, db


def test_totals_equal_the_sums_of_their_parts(repo_with_fates):
    _, found, db = repo_with_fates
    update_survival(found, db)
    figures = corpus_figures(found, db)
    holes = figures["holes"]
    assert holes >= 10 and figures["commits"] == 6 and figures["authors"] == 2
    for name in ("kind", "language", "author", "month", "tests"):
        assert sum(figures[name].values()) == holes, name
    assert sum(each["holes"] for each in figures["survival"].values()) == holes
    assert figures["status"] == {"mined": 6}
    assert figures["left_out"] == {"nothing added": 1, "not code": 1, "vendored": 1}
    assert set(figures["language"]) == {"python", "javascript"}
    assert list(figures["month"]) == ["2024-02", "2024-01", "2023-12", "2023-11"]
    assert figures["tests"]["tests"] == db.scalar(
        "SELECT count(*) FROM holes WHERE path = CAST('tests/test_it.py' AS BLOB)"
    )
    assert {name.split()[0] for name in figures["author"]} == {"Ada", "Bob"}


def test_fates_of_holes_are_derived_from_history(repo_with_fates):
    _, found, db = repo_with_fates
    unknown = corpus_figures(found, db)["survival"]
    assert unknown["unknown"]["share"] == 1.0 and unknown["stands"]["holes"] == 0
    update_survival(found, db)
    survival = corpus_figures(found, db)["survival"]
    assert list(survival) == ["stands", "rewritten", "reverted", "unknown"]
    assert survival["unknown"]["holes"] == 0
    assert survival["reverted"]["holes"] == db.scalar(
        "SELECT count(*) FROM holes WHERE path = CAST('src/bad.py' AS BLOB)"
    )
    assert survival["reverted"]["median_days"] == 1.0
    assert survival["rewritten"]["median_days"] == 100.0
    assert survival["rewritten"]["holes"] > 0 and survival["stands"]["median_days"] is None
    assert sum(each["share"] for each in survival.values()) == pytest.approx(1, abs=1e-3)


def test_statistics_read_no_blob(repo_with_fates):
    repo, found, db = repo_with_fates
    update_survival(found, db)
    before = corpus_figures(found, db)
    for (blob,) in db.query("SELECT DISTINCT blob FROM holes"):
        (repo.git_dir / "objects" / str(blob)[:2] / str(blob)[2:]).unlink()
    assert corpus_figures(found, db) == before


def test_an_empty_corpus_is_all_zeros(opened_repo):
    _, found, db = opened_repo
    figures = corpus_figures(found, db)
    assert (figures["holes"], figures["commits"], figures["kind"]) == (0, 0, {})
    assert figures["survival"]["unknown"] == {"holes": 0, "share": 0.0, "median_days": None}


@pytest.mark.parametrize(
    ("survival", "expected"),
    [
        (None, "unknown"),
        (Survival(1.0, None, None), "stands"),
        (Survival(1.0, "other", 5), "stands"),
        (Survival(0.5, None, None), "unknown"),
        (Survival(0.5, "other", 5), "rewritten"),
        (Survival(0.0, "back", 5), "reverted"),
    ],
)
def test_every_hole_has_one_of_four_fates(survival, expected):
    assert fate("abcdef123456", survival, {"back": ["abcdef1"], "other": ["9999999"]}) == expected


def test_reverts_are_recognised_by_messages_naming_existing_commits(opened_repo):
    repo, found, _ = opened_repo
    first = repo.commit({"a.py": "a = 1\n"})
    repo.git("revert", "--no-edit", first)
    back = repo.git("rev-parse", "HEAD")
    assert reverted_by(found, [back, first, "1" * 40]) == {back: [first]}
    assert reverted_by(found, []) == {}


def test_holes_are_loaded_by_id_in_the_order_asked(repo_with_fates):
    repo, _, db = repo_with_fates
    holes = load_holes(db, newest_first(repo))
    ids = [hole.id for hole in holes][::-1]
    assert find_holes(db, [*ids[:3], 10**30, 0, *ids[3:]]) == holes[::-1]
