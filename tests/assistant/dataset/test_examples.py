"""Training examples are cut byte for byte and rendered as when serving, with older code only."""

from __future__ import annotations

import dataclasses

import pytest

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import cut_blob, read_cuts
from git_copilot.assistant.dataset.examples import (
    make_example,
    parent_trees,
    retrieve,
    retrieve_in_turn,
    serving_budget,
    training_examples,
    with_retrieval,
)
from git_copilot.assistant.prompt.builder import build_prompt
from git_copilot.assistant.prompt.location import Location, cut_document
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.embedding.vectors import VectorIndex
from git_copilot.index.store import views
from tests.support.fakes import HashingEmbedder
from tests.support.histories import merge_a_side_branch
from tests.support.tiny_models import save_tiny


def hole(data, middle, commit="c", path="m.py"):
    start = data.index(middle)
    return Hole(commit, "b", path, start, start + len(middle), "line", "", 0, "python")


def cut(text, middle, **more):
    data = text.encode()
    return cut_blob(data, hole(data, middle.encode(), **more))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return TextTokenizer.load(save_tiny(tmp_path_factory.mktemp("tiny"), fim=True))


@pytest.mark.parametrize(
    "text", ["a = 1\nb = 2\n", "a = 1\r\nb = 2\r\n", "\ufeffa = 1\nb = 2", "é=1\nb = 2"]
)
def test_a_training_cut_equals_the_location_that_serving_reads(text):
    data = text.encode()
    found = cut(text, "= 2")
    whole = cut_document(data.replace(b"= 2", b""), Location("m.py", 2, 3))
    assert (found.prefix, found.suffix) == (whole.prefix, whole.suffix)
    assert found.middle == "= 2"


def test_crlf_inside_the_middle_becomes_newline():
    assert cut("if a:\r\n    b()\r\n    c()\r\n", "    b()\r\n    c()").middle == "    b()\n    c()"


def test_a_huge_file_is_cut_at_whole_lines():
    lines = "".join(f"line_{i} = {i}\n" for i in range(40_000))
    found = cut(lines + "x = 'here'\n" + lines, "'here'")
    assert found.prefix.startswith("line_") and found.prefix.endswith("\nx = ")
    assert found.suffix.startswith("\nline_0 = 0\n") and found.suffix.endswith("\n")
    assert len(found.prefix) < len(lines)


def test_an_example_is_the_serving_prompt_then_the_middle_and_an_end_token(tokenizer):
    found = cut("import os\n\n\ndef f(a):\n    return os.path.join(a)\n", "os.path.join(a)")
    example = make_example(tokenizer, found, (), serving_budget(Settings()), "repo")
    prompt = build_prompt(
        tokenizer,
        path="m.py",
        language="python",
        prefix="import os\n\n\ndef f(a):\n    return ",
        suffix="\n",
        snippets=(),
        budget=serving_budget(Settings()),
        repository="repo",
    )
    assert example.prompt_ids == prompt.ids
    assert tokenizer.decode(list(example.middle_ids)) == "os.path.join(a)"
    assert example.middle_ids[-1] == tokenizer.end_id
    assert example.size == len(prompt.ids) + len(example.middle_ids)


def test_the_budget_share_scales_every_part():
    budget = serving_budget(Settings(prompt_tokens=100, context_tokens=40, suffix_tokens=20), 0.5)
    assert (budget.prompt, budget.context, budget.suffix) == (50, 20, 10)


def test_half_of_the_training_examples_have_snippets(tokenizer):
    cuts = [cut(f"a = {i}\nb = {i}\n", f"b = {i}", path=f"{i}.py") for i in range(200)]
    chosen = [with_retrieval(c, 0) for c in cuts]
    assert 70 < sum(chosen) < 130
    assert chosen == [with_retrieval(c, 0) for c in cuts]
    assert chosen != [with_retrieval(c, 1) for c in cuts]
    hit = store_hit()
    examples = training_examples(
        tokenizer, cuts, [[hit]] * 200, serving_budget(Settings()), "r", seed=0
    )
    assert [bool(e.prompt.snippets) for e in examples] == chosen


def store_hit():
    from git_copilot.index.core.types import Hit

    return Hit(1, "other.py", "0" * 40, 1, 1, "x = 5", 1.0, ("lexical",))


def test_parents_are_first_parents_and_roots_have_none(opened_repo):
    repo, found, _ = opened_repo
    root, side, main = merge_a_side_branch(repo)
    merge = repo.git("rev-parse", "HEAD")
    tree = {oid: repo.git("rev-parse", f"{oid}^{{tree}}") for oid in (root, main)}
    assert parent_trees(found, [merge, side, root]) == {
        merge: tree[main],
        side: tree[root],
        root: None,
    }
    assert parent_trees(found, []) == {}


def history(repo):
    """Three commits; each adds the definition that only the later ones may know."""
    body = "def {0}_helper(value):\n    total = value + {1}\n    return total * {1}\n"
    for i, name in enumerate(("alpha", "beta", "gamma")):
        repo.commit(
            {
                f"{name}.py": body.format(name, i + 2),
                f"use_{name}.py": f"from {name} import {name}_helper\n\n\n"
                f"def run(value):\n    first = {name}_helper(value)\n"
                f"    second = {name}_helper(first) + alpha_helper(value)\n    return second\n",
            }
        )


@pytest.mark.parametrize("dense", [True, False])
def test_snippets_of_a_hole_come_from_the_parent_tree_only(opened_repo, dense):
    repo, found, db = opened_repo
    history(repo)
    mine(found, db)
    commits = repo.git("rev-list", "HEAD").split()
    cuts = [c for c in read_cuts(found, load_holes(db, commits)) if "use_" in c.hole.path]
    embedder = HashingEmbedder() if dense else None
    vectors = VectorIndex.load(db, found.state_dir, "hashing-test", 64) if dense else None
    hits = retrieve(RepositoryContext(found, db, Settings(), embedder, vectors), cuts)
    known = {
        oid: set(repo.git("ls-tree", "-r", "--name-only", f"{oid}~").split())
        for oid in commits[:-1]
    }
    for each, snippets in zip(cuts, hits, strict=True):
        assert {h.path for h in snippets} <= known.get(each.hole.commit, set())
    newest = [
        h.path for c, hs in zip(cuts, hits, strict=True) if c.hole.commit == commits[0] for h in hs
    ]
    assert "alpha.py" in newest
    assert retrieve(RepositoryContext(found, db, Settings(), embedder, vectors), cuts) == hits
    assert views.view_names(db, "train/") == []


def test_snippets_are_found_in_turn_for_those_who_want_them_until_closed(opened_repo):
    repo, found, db = opened_repo
    history(repo)
    mine(found, db)
    context = RepositoryContext(found, db, Settings())
    cuts = read_cuts(found, load_holes(db, repo.git("rev-list", "HEAD").split()))
    whole = retrieve(context, cuts)
    assert dict(retrieve_in_turn(context, cuts)) == dict(enumerate(whole))
    chosen = {i for i, hits in enumerate(whole) if hits and i % 2}
    assert chosen
    some = dict(retrieve_in_turn(context, cuts, wanted=lambda i: i in chosen))
    assert some == {i: hits if i in chosen else [] for i, hits in enumerate(whole)}
    turns = retrieve_in_turn(context, cuts)
    first = [next(turns) for _ in range(3)]
    assert [cuts[i].hole.commit for i, _ in first] == [cut.hole.commit for cut in cuts[:3]]
    assert views.view_names(db, "train/") != []
    turns.close()
    assert views.view_names(db, "train/") == []


def test_a_view_left_by_a_dead_process_is_dropped(opened_repo):
    repo, found, db = opened_repo
    history(repo)
    mine(found, db)
    with db.transaction() as connection:
        views.set_view(connection, "train/999999999", "tree", "", [], [])
    cuts = read_cuts(found, load_holes(db, repo.git("rev-list", "HEAD").split()))
    retrieve(RepositoryContext(found, db, Settings()), cuts[:1])
    assert views.view_names(db, "train/") == []


def test_holes_whose_blob_is_missing_or_too_short_are_skipped(opened_repo):
    repo, found, db = opened_repo
    history(repo)
    mine(found, db)
    holes = load_holes(db, repo.git("rev-list", "HEAD").split())
    bad = [
        dataclasses.replace(holes[0], blob="1" * 40),
        dataclasses.replace(holes[0], end=10**6),
    ]
    assert [c.hole for c in read_cuts(found, [*bad, *holes])] == holes
