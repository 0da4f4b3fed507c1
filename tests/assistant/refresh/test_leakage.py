"""A refresh trains on no copy of held-out holes; evaluation excludes what was trained on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.provenance import (
    FILE,
    read_training_holes,
    write_training_holes,
)
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import read_cuts
from git_copilot.assistant.dataset.leakage import DuplicateCounts, drop_duplicates
from git_copilot.assistant.evaluation.eval_run import run_eval
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.refresh import pipeline
from git_copilot.assistant.refresh.pipeline import run_refresh
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import BOTH, Hole
from git_copilot.index.corpus.mining import load_holes
from tests.support.reference_dedup import bare, is_copy, long
from tests.support.tiny_models import save_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True, layers=1)


@pytest.fixture
def trained_examples(monkeypatch):
    """The examples passed to the training loop, which trains on two of them only."""
    examples = []
    whole = pipeline.train_adapter

    def watched(model, given, recipe, **more):
        examples.extend(given)
        return whole(model, given[:2], recipe, **more)

    monkeypatch.setattr(pipeline, "train_adapter", watched)
    return examples


def chosen(tiny, **more):
    given = {
        "prompt_tokens": 640, "context_tokens": 320, "suffix_tokens": 128, "max_tokens": 4,
        "adapter_rank": 2, "corpus_source": "commits",
    }  # fmt: skip
    return Settings(model=str(tiny), **(given | more))


def context(found, db, tiny, **more):
    return RepositoryContext(found, db, chosen(tiny), **more)


def function(number, letter):
    return (
        f"def {letter}_step_{number}(value, table):\n"
        f"    {letter}_first_{number} = table.lookup_{number}(value, default={number})\n"
        f"    {letter}_second_{number} = {letter}_first_{number}.scale(by={number + 7})\n"
        f"    if {letter}_second_{number} > {number * 13}:\n"
        f"        raise {letter.upper()}Error{number}({letter}_second_{number}, value)\n"
        f"    return {letter}_second_{number} + {letter}_first_{number}\n\n\n"
    )


def write_history(repo):
    """Twenty commits of new functions; then code that moves, is copied with a change, is deleted
    and comes back."""
    for i in range(20):
        repo.commit({f"part_{i}.py": function(i, "a") + function(i, "b")})
    gone = (repo.path / "part_3.py").read_text()
    repo.commit({"part_3.py": "x = 1\n"})
    repo.commit({"moved.py": (repo.path / "part_5.py").read_text()})
    repo.commit({"near.py": (repo.path / "part_7.py").read_text().replace("table", "lookup")})
    repo.commit({"part_3.py": gone})
    repo.commit({"again.py": (repo.path / "part_5.py").read_text() + function(90, "c")})
    for i in range(30, 34):
        repo.commit({f"part_{i}.py": function(i, "a") + function(i, "b")})


def test_a_refresh_neither_trains_on_nor_shows_copies_of_held_out_holes(
    opened_repo, tiny, trained_examples
):
    """Every example of the training loop is compared with every held-out hole."""
    repo, found, db = opened_repo
    write_history(repo)
    evidence = run_refresh(context(found, db, tiny), held_out_holes=40, max_holes=200).to_json()
    assert evidence["copies_dropped"] > 0
    assert evidence["holes"]["train"] == len(trained_examples) > 20
    assert evidence["duplicates_dropped"].keys() == {"exact", "near"}
    commits = repo.git("rev-list", "HEAD").split()
    newest, oldest = (commits.index(x) for x in reversed(evidence["commits"]["held_out"]))
    held = [
        c
        for c in read_cuts(found, load_holes(db, commits[newest : oldest + 1]))
        if c.hole.commit not in {e.hole.commit for e in trained_examples}
    ]
    assert len(held) + evidence["strength"]["holes"] >= 40
    assert not any(is_copy(e.cut, h) for e in trained_examples for h in held)
    tokenizer = TextTokenizer.load(tiny)
    telling = {bare(h.middle) for h in held if long(h.middle)}
    assert telling
    for example in trained_examples:
        text = bare(tokenizer.decode([*example.prompt_ids, *example.middle_ids]))
        assert not [middle for middle in telling if middle in text]


def test_duplicate_training_holes_are_dropped_and_counted(opened_repo, tiny, trained_examples):
    repo, found, db = opened_repo
    body = function(1, "a")
    for i in range(6):  # the same function in six files, and one changed name in six more
        repo.commit({f"copy_{i}.py": body})
        repo.commit({f"near_{i}.py": body.replace("value", f"v{i}")})
    for i in range(20, 32):
        repo.commit({f"part_{i}.py": function(i, "a") + function(i, "b")})
    evidence = run_refresh(context(found, db, tiny), held_out_holes=20, max_holes=200).to_json()
    assert evidence["duplicates_dropped"]["exact"] > 0 < evidence["duplicates_dropped"]["near"]
    assert drop_duplicates([e.cut for e in trained_examples])[1] == DuplicateCounts(exact=0, near=0)
    newest_first = [e.hole.time for e in trained_examples]
    assert newest_first == sorted(newest_first, reverse=True)
    assert (
        adapter_store.read_report(found.state_dir, evidence["candidate"])["duplicates_dropped"]
        == (evidence["duplicates_dropped"])
    )


def test_an_adapter_is_not_evaluated_on_copies_of_its_training_holes(opened_repo, tiny):
    repo, found, db = opened_repo
    for i in range(24):
        repo.commit({f"part_{i}.py": function(i, "a") + function(i, "b")})
    first = run_refresh(context(found, db, tiny), held_out_holes=20, max_holes=60).to_json()
    trained_examples = adapter_store.trained_on(found.state_dir, first["candidate"])
    copied = next(
        i
        for i in range(24)
        if repo.git("rev-list", "HEAD", "--", f"part_{i}.py") in trained_examples
    )
    start = repo.git("rev-parse", "HEAD")
    repo.commit({"moved.py": (repo.path / f"part_{copied}.py").read_text()})
    middle = repo.git("rev-parse", "HEAD")
    repo.commit({"new.py": function(70, "q") + function(71, "r")})
    opened_context, adapter = context(found, db, tiny), first["candidate"]
    report = run_eval(opened_context, commits_range=f"{start}..HEAD", adapter=adapter).to_json()
    cuts = read_cuts(found, load_holes(db, repo.git("rev-list", f"{start}..HEAD").split()))
    trained = read_cuts(found, load_holes(db, sorted(trained_examples)))
    copies = [c for c in cuts if any(is_copy(c, t) for t in trained)]
    assert report["copies_dropped"] >= len(copies) > 0
    assert report["dropped"]["learnt"] >= len(copies)
    assert sum(report["dropped"].values()) == report["copies_dropped"]
    assert report["holes"]["held_out"] == len(cuts) - report["copies_dropped"] > 0
    with pytest.raises(CopilotError, match="new to the adapter"):
        run_eval(opened_context, commits_range=f"{start}..{middle}", adapter=adapter)
    adapter_store.use(found.state_dir, None)
    base = run_eval(opened_context, commits_range=f"{start}..{middle}", adapter="none")
    assert base.copies_dropped == 0


def test_an_adapter_is_not_evaluated_on_passages_that_it_learnt(opened_repo, tiny):
    repo, found, db = opened_repo
    for i in range(24):
        repo.commit({f"part_{i}.py": function(i, "a") + function(i, "b")})
    passages = replace(context(found, db, tiny), settings=chosen(tiny, corpus_source="snapshot"))
    adapter = run_refresh(passages, held_out_holes=20, max_holes=60).to_json()["candidate"]
    start = repo.git("rev-parse", "HEAD")
    repo.commit({"moved.py": (repo.path / "part_3.py").read_text()})
    repo.commit({"new.py": function(70, "q") + function(71, "r")})
    report = run_eval(passages, commits_range=f"{start}..HEAD", adapter=adapter).to_json()
    new = load_holes(db, [repo.git("rev-parse", "HEAD")])
    assert report["copies_dropped"] > 0
    assert report["holes"]["held_out"] >= len(new) > 0


def test_the_training_holes_of_an_adapter_are_stored_with_it(opened_repo, tiny, trained_examples):
    _, found, db = opened_repo
    write_history(opened_repo[0])
    evidence = run_refresh(context(found, db, tiny), held_out_holes=20, max_holes=60).to_json()
    folder = adapter_store.adapter_path(found.state_dir, evidence["candidate"])
    holes = read_training_holes(folder)
    assert [replace(e.hole, author="", time=0, id=0) for e in trained_examples] == holes
    assert [c.as_served().middle for c in read_cuts(found, holes, BOTH)] == [
        e.middle for e in trained_examples
    ]


def test_a_damaged_list_of_training_holes_is_read_as_missing(tmp_path):
    holes = [Hole("c", "b", "na\udcefve\n.py", 3, 9, "line", "", 0, "python")]
    assert read_training_holes(tmp_path) is None
    write_training_holes(tmp_path, holes)
    assert read_training_holes(tmp_path) == holes
    for text in ("{", "[1, 2]\n", '["c", "b", "p", "x", 1, "k", "l"]\n', "5\n", "é\n"):
        (tmp_path / FILE).write_text(text, "utf-8")
        assert read_training_holes(tmp_path) is None


def test_an_adapter_without_its_training_list_is_evaluated_with_a_warning(opened_repo, tiny):
    """Its commits are excluded then; copies of them cannot be, hence the warning."""
    repo, found, db = opened_repo
    for i in range(24):
        repo.commit({f"part_{i}.py": function(i, "a") + function(i, "b")})
    first = run_refresh(context(found, db, tiny), held_out_holes=20, max_holes=60).to_json()
    folder = adapter_store.adapter_path(found.state_dir, first["candidate"])
    repo.commit({"moved.py": (repo.path / "part_12.py").read_text() + function(80, "q")})

    def evaluated():
        notes = []
        report = run_eval(
            context(found, db, tiny, note=notes.append),
            commits_range="HEAD~1..HEAD",
            adapter=first["candidate"],
        )
        return report.copies_dropped, notes

    dropped, notes = evaluated()
    assert dropped > 0 and not notes
    holes = read_training_holes(folder)
    (folder / FILE).unlink()
    assert evaluated() == (dropped, [])
    write_training_holes(folder, [*holes, replace(holes[0], blob="1" * 40)])
    (note,) = evaluated()[1]
    assert note.startswith("1 of the holes that the adapter learnt from cannot be read")
    (folder / FILE).unlink()
    (folder / adapter_store.COMMITS).unlink()
    assert evaluated() == (
        0,
        ["every hole that the adapter learnt from cannot be read: copies cannot be told"],
    )
