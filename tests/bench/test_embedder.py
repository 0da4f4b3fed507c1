"""bench/embedder: pairs query definitions of other files, training improves retrieval."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from git_copilot.index.embedding.embedders import load_embedder
from git_copilot.index.git.repository import GitRepository

BENCH = Path(__file__).resolve().parent.parent.parent / "bench" / "embedder"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    contrast, pairs = (importlib.import_module(name) for name in ("contrast", "pairs"))

FACTS = {"cursors": 400, "use_share": 0.25, "described_share": 0.1}
TOPICS = ("invoice", "harbour", "glacier", "violin", "orchard", "turbine", "parliament", "saddle")
SETTINGS = contrast.Contrast(epochs=8, batch=64, learning_rate=0.05)


def module(topic):
    return (
        f"class {topic.title()}Store:\n"
        f'    """Keeps every {topic} that was ever seen around here."""\n\n'
        f"    def find_{topic}(self, {topic}_name):\n"
        f"        return self.{topic}_rows[{topic}_name]\n"
    )


def caller(topic):
    lines = [f'"""Reports on the {topic}."""', f"from {topic} import *", ""]
    lines += [f"def report_{topic}_{i}(store, {topic}_name):" for i in range(1)]
    lines += [f"    heading = '{topic} {i}'" for i in range(24)]
    lines += [f"    return store.find_{topic}({topic}_name)", ""]
    return "\n".join(lines)


@pytest.fixture
def repository(repo):
    files = {f"{t}.py": module(t) for t in TOPICS} | {f"report_{t}.py": caller(t) for t in TOPICS}
    repo.commit(files)
    return GitRepository.discover(repo.path)


@pytest.fixture
def text_pairs(repository):
    return pairs.read_pairs(
        repository, "here", pairs.commits_of(repository, "HEAD", 2), FACTS, "seed"
    )


def test_a_query_does_not_contain_the_name_it_asks_for(text_pairs):
    asked = [p for p in text_pairs if "find_" in p.text and "Keeps every" in p.text]
    assert len(asked) >= len(TOPICS)
    for pair in asked:
        topic = next(t for t in TOPICS if f"find_{t}" in pair.text)
        assert f"find_{topic}" not in pair.query
        assert topic in pair.query


def test_a_docstring_query_is_removed_from_its_target_text(text_pairs):
    described = [p for p in text_pairs if p.query.startswith("Keeps every")]
    assert described
    assert all(p.query not in p.text and "Store" in p.text for p in described)


def test_pairs_depend_on_the_seed_alone(repository, text_pairs):
    commits = pairs.commits_of(repository, "HEAD", 2)
    assert pairs.read_pairs(repository, "here", commits, FACTS, "seed") == text_pairs


@pytest.fixture
def tokenizer(text_pairs):
    return contrast.train_tokenizer([p.text for p in text_pairs], 300)


@pytest.fixture
def tokens(tokenizer, text_pairs):
    counts = contrast.count_tokens(tokenizer, [p.text for p in text_pairs])
    return contrast.first_tokens(tokenizer, counts, 16, None)


@pytest.mark.slow
def test_the_same_texts_give_the_same_tokenizer_in_every_process(text_pairs):
    """Hash maps iterate in another order in each."""
    texts = [p.text for p in text_pairs]
    program = (
        "import contrast, json, sys\n"
        "print(contrast.train_tokenizer(json.load(sys.stdin), 300).to_str(), end='')"
    )
    made = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=BENCH, input=json.dumps(texts), capture_output=True, text=True, check=True,
        ).stdout
        for _ in range(2)
    }  # fmt: skip
    assert made == {contrast.train_tokenizer(texts, 300).to_str()}


def test_only_two_tokens_of_the_tokenizer_are_special(tokenizer):
    assert [t.content for t in tokenizer.get_added_tokens_decoder().values()] == ["[PAD]", "[UNK]"]
    assert tokenizer.encode("find_parliament").tokens[0] != "[UNK]"


def equal(one, other):
    return torch.equal(one.vectors, other.vectors) and torch.equal(
        one.log_weights, other.log_weights
    )


def test_training_improves_retrieval_and_is_reproducible(text_pairs, tokenizer, tokens):
    losses = []
    learnt = contrast.train(
        tokenizer, tokens, text_pairs, SETTINGS, on_epoch=lambda e, loss, t: losses.append(loss)
    )
    assert losses[-1] < losses[0]
    # Two texts of each topic are all but the same.
    before, after = (
        contrast.recall(tokenizer, t.merged(), text_pairs, 2) for t in (tokens, learnt)
    )
    assert after > before + 0.3
    assert equal(learnt, contrast.train(tokenizer, tokens, text_pairs, SETTINGS))


def test_training_can_resume_after_an_epoch(text_pairs, tokenizer, tokens):
    states = []

    def keep(epoch, loss, tokens):
        states.append(contrast.Tokens(tokens.vectors.clone(), tokens.log_weights.clone()))

    whole = contrast.train(tokenizer, tokens, text_pairs, SETTINGS, on_epoch=keep)
    assert equal(whole, contrast.train(tokenizer, states[1], text_pairs, SETTINGS, begin=2))


def test_identical_texts_are_not_used_as_negatives():
    vectors = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2], [0.9, 0.3]]), dim=-1)
    same = torch.ones(2, 2, dtype=torch.bool)
    assert contrast.contrast_loss(vectors, vectors, same, 0.05).item() == 0
    apart = torch.eye(2, dtype=torch.bool)
    assert contrast.contrast_loss(vectors, vectors, apart, 0.05).item() > 0


def test_the_trained_embedder_loads_in_both_libraries_with_equal_vectors(
    text_pairs, tokenizer, tokens, tmp_path
):
    from sentence_transformers import SentenceTransformer

    weights = tokens.merged()
    contrast.save(tokenizer, weights, tmp_path / "made")
    texts = [p.query for p in text_pairs[:5]] + [p.text for p in text_pairs[:5]]
    light = load_embedder("made", tmp_path / "made")
    assert type(light).__name__ == "StaticEmbedder"
    full = SentenceTransformer(str(tmp_path / "made"), device="cpu")
    theirs = np.asarray(full.encode(texts, normalize_embeddings=True), dtype=np.float32)
    ours = contrast.Texts(tokenizer, texts).embed(weights, range(len(texts))).numpy()
    assert light.encode(texts) == pytest.approx(theirs, abs=5e-3)
    assert ours == pytest.approx(theirs, abs=5e-3)
