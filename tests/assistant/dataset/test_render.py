"""Rendered exports: the texts of training, with context as of the parent commit."""

from __future__ import annotations

import pytest

from git_copilot.assistant.context import repository
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import read_cuts
from git_copilot.assistant.dataset.examples import (
    TRAINING_SHARE,
    make_example,
    serving_budget,
    with_retrieval,
)
from git_copilot.assistant.dataset.render import control_ids, rendered_rows, spell
from git_copilot.assistant.dataset.rows import TEXT_COLUMNS, hole_rows
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import ModelError
from git_copilot.index.corpus.mining import load_holes, mine
from tests.support.exports import export, load
from tests.support.fakes import HashingEmbedder
from tests.support.histories import function
from tests.support.tiny_models import FIM_TOKENS, save_tiny

END = "<|endoftext|>"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", fim=True)


def small(tiny, **more):
    return Settings(
        model=str(tiny), prompt_tokens=4000, context_tokens=2000, suffix_tokens=400, **more
    )


def test_rendered_texts_equal_training_examples(mined_repo, tiny, tmp_path):
    repo, found, db = mined_repo
    settings = small(tiny)
    out = tmp_path / "texts.parquet"
    count = export(found, db, out, rendered=True, settings=settings)
    rows = load(out, tmp_path / "cache")
    assert tuple(rows.column_names) == TEXT_COLUMNS and rows.num_rows == count
    tokenizer = TextTokenizer.load(tiny)
    holes = load_holes(db, repo.git("rev-list", "HEAD").split())
    assert count == len(holes)
    budget = serving_budget(settings, TRAINING_SHARE)
    plain = 0
    for cut, row in zip(read_cuts(found, holes), rows, strict=True):
        assert (row["path"], row["commit"]) == (cut.hole.path, cut.hole.commit)
        text, example = row["text"], make_example(tokenizer, cut, (), budget, found.name)
        lead = example.prompt.forced_prefix  # half a word is written together with what follows
        assert text.endswith(f"{lead}{cut.middle}{END}") and text.count(END) == 1
        if cut.suffix.strip():
            assert text.count("<fim_prefix>") == text.count("<fim_suffix>") == 1
            assert cut.prefix.split("\n")[-1].removesuffix(lead) + "<fim_suffix>" in text
        if not with_retrieval(cut, settings.seed):
            assert text == spell(tokenizer, example)
            assert text.count("<filename>") == 1
            plain += 1
    assert 0 < plain < count


def test_context_comes_from_the_parent_commit_only(opened_repo, tiny):
    """Each commit uses what came before it; what comes after may not be shown."""
    repo, found, db = opened_repo
    names = ("alpha", "beta", "gamma", "delta")
    for name in names:
        calls = "".join(f"    total = alpha(value) + {name}(value, {i})\n" for i in range(4))
        repo.commit({f"src/{name}.py": function(name) + f"\n\ndef use_{name}(value):\n{calls}"})
    mine(found, db)
    rows = list(rendered_rows(RepositoryContext(found, db, small(tiny)), "commits"))
    order = repo.git("rev-list", "--reverse", "HEAD").split()
    shown = 0
    for row in rows:
        texts = row["text"].replace("<fim_prefix>", "").split("<filename>")[1:]
        heads = [x.split("\n")[0] for x in texts]
        others = set(heads) - {row["path"]}
        known = {f"src/{name}.py" for name in names[: order.index(row["commit"])]}
        assert others <= known
        shown += bool(others)
    assert shown > 3


def test_a_locally_available_embedder_is_used(mined_repo, tiny, monkeypatch):
    _, found, db = mined_repo
    embedder = HashingEmbedder()
    monkeypatch.setattr(repository, "ready_embedder", lambda settings: embedder)
    assert list(rendered_rows(RepositoryContext(found, db, small(tiny)), "commits"))
    assert any("alpha" in text for text in embedder.encoded)


def test_passages_are_left_to_right_where_the_suffix_would_part_them(mined_repo, tiny, tmp_path):
    """The family of this model has the suffix between a text and its middle."""
    repo, found, db = mined_repo
    for i in range(12):
        functions = "".join(function(f"more{i}_{k}") for k in range(40))
        repo.commit({f"src/more{i}.py": functions})
    both = list(rendered_rows(RepositoryContext(found, db, small(tiny)), "both"))
    standing = [row for row in both if not row["author"]]
    written = [row for row in both if row["author"]]
    assert standing == list(rendered_rows(RepositoryContext(found, db, small(tiny)), "snapshot"))
    assert written == list(rendered_rows(RepositoryContext(found, db, small(tiny)), "commits"))
    assert len(standing) > 12
    assert not any("<fim_suffix>" in row["text"] for row in standing)
    with_suffix = sum("<fim_suffix>" in row["text"] for row in written)
    assert with_suffix / len(written) > 0.8
    for row in standing:
        assert row["text"].endswith(END) and row["commit"] == repo.git("rev-parse", "HEAD")


def test_code_that_contains_a_control_token_is_left_out(opened_repo, tiny):
    repo, found, db = opened_repo
    repo.commit({"src/a.py": function("plain")})
    mark = f"MARK = '{FIM_TOKENS[1]}'\n"
    repo.commit({"src/b.py": mark + function("spelt", 3) + mark})  # a hole cuts one at most
    mine(found, db)
    assert {row["path"] for row in hole_rows(RepositoryContext(found, db, Settings()))} == {
        "src/a.py",
        "src/b.py",
    }
    texts = list(rendered_rows(RepositoryContext(found, db, small(tiny)), "commits"))
    assert {row["path"] for row in texts} == {"src/a.py"}
    tokenizer = TextTokenizer.load(tiny)
    assert {tokenizer.spell([i]) for i in control_ids(tokenizer)} == {END, *FIM_TOKENS}


def test_rendering_without_the_model_is_refused_with_a_remedy(mined_repo, tmp_path, monkeypatch):
    _, found, db = mined_repo
    monkeypatch.setenv("GIT_COPILOT_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="model pull"):
        export(found, db, tmp_path / "c.jsonl", rendered=True)
    assert list(tmp_path.glob("*.jsonl*")) + list(tmp_path.glob(".c*")) == []
