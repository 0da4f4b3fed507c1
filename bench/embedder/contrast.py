"""Trains token vectors contrastively: a text is the weighted mean of its tokens' vectors.

In-batch negatives with a softmax over cosines (InfoNCE; van den Oord et al. 2018, arXiv
1807.03748). Loadable as `StaticEmbedding` of sentence-transformers and by model2vec.

What was learnt from validation (README.md): batches from one repository, or a temperature of 0.05,
make the vectors remember that repository and find less in others; large batches across
repositories at 0.2 find more.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pairs import Pair
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch.nn import functional

from git_copilot.index.embedding.embedders import principal

# Parts of identifiers, numbers and words of other scripts; punctuation tells nothing of meaning.
PARTS = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+"
PADDING, UNKNOWN = "[PAD]", "[UNK]"
# Their vectors stay zero: model2vec leaves unknown tokens out of the mean, sentence-transformers
# does not, and the direction is then the same.
SPECIALS = 2
CONTINUES = "##"
MAX_TOKENS = 512
ALPHABET = 400
# Weight of frequent words at the beginning: Arora et al. 2017, as in git_copilot.index.embedding.embedders.
SIF = 1e-3


@dataclass(frozen=True, slots=True)
class Contrast:
    """How to train; ``batch`` is in pairs, the rates (of the vectors, and of the logarithms of the
    tokens' weights) fall linearly to nothing. Of a query the last ``windows`` lines are seen, one
    number drawn for each."""

    epochs: int = 2
    batch: int = 2048
    learning_rate: float = 0.001
    weight_rate: float = 0.003
    temperature: float = 0.2
    windows: tuple[int, ...] = (2, 4, 6, 10)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Tokens:
    """Vectors (vocabulary, dimensions) and the logarithms of their weights (vocabulary)."""

    vectors: torch.Tensor
    log_weights: torch.Tensor

    def merged(self) -> torch.Tensor:
        """Weighted vectors, those of the special tokens zero."""
        known = torch.ones_like(self.log_weights)
        known[:SPECIALS] = 0
        return self.vectors * (self.log_weights.exp() * known)[:, None]


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Byte pair encoding over the parts of identifiers; the same texts give the same tokenizer.

    The trainer numbers the characters that go on within a word in the order of a hash map, which
    is another in each process, and pairs that come equally often are merged by number. Named as
    special tokens, the characters have their numbers beforehand.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, continuing_subword_prefix=CONTINUES))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PARTS), "removed", invert=True)
    counts = Counter(
        char
        for text in texts
        for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)
        for char in part
    )
    alphabet = sorted(sorted(counts, key=lambda char: (-counts[char], char))[:ALPHABET])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=3, initial_alphabet=alphabet,
        limit_alphabet=len(alphabet), continuing_subword_prefix=CONTINUES, show_progress=False,
        special_tokens=[PADDING, UNKNOWN, *(CONTINUES + char for char in alphabet)],
    )  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    made = json.loads(tokenizer.to_str())
    made["added_tokens"] = made["added_tokens"][:SPECIALS]
    return Tokenizer.from_str(json.dumps(made))


def count_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> np.ndarray[Any, Any]:
    """How often each token comes, shape (vocabulary,)."""
    counts: Counter[int] = Counter()
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
    return np.array([counts[i] for i in range(tokenizer.get_vocab_size())], dtype=np.float64)


def first_tokens(
    tokenizer: Tokenizer, counts: np.ndarray[Any, Any], dimensions: int, teacher: Path | None
) -> Tokens:
    """Where training begins: each token as the teacher embeds it alone, reduced by principal
    components to unit length; random without a teacher. Frequent tokens weigh little."""
    size = tokenizer.get_vocab_size()
    if teacher is None:
        vectors = np.random.default_rng(0).normal(size=(size, dimensions))
    else:
        from sentence_transformers import SentenceTransformer

        texts = [(tokenizer.id_to_token(i) or "").removeprefix(CONTINUES) for i in range(size)]
        model = SentenceTransformer(str(teacher), device="cpu")
        vectors = np.asarray(model.encode(texts, batch_size=512, show_progress_bar=False))
        vectors = principal(vectors.astype(np.float64), dimensions)
    frequency = counts / max(counts.sum(), 1)
    return Tokens(
        functional.normalize(torch.tensor(vectors, dtype=torch.float32), dim=-1),
        torch.tensor(np.log(SIF / (SIF + frequency)), dtype=torch.float32),
    )


class Texts:
    """Tokenised texts, as an embedding bag wants them."""

    def __init__(self, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
        encodings = tokenizer.encode_batch(list(texts), add_special_tokens=False)
        self._ids = [torch.tensor(e.ids[:MAX_TOKENS] or [0], dtype=torch.int32) for e in encodings]

    def embed(self, weights: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
        """Unit vectors (len(indices), dimensions)."""
        chosen = [self._ids[i] for i in indices]
        sizes = torch.tensor([0, *(len(c) for c in chosen[:-1])])
        offsets = sizes.cumsum(0).int()
        bags = functional.embedding_bag(torch.cat(chosen), weights, offsets, mode="mean")
        return functional.normalize(bags, dim=-1)

    def __len__(self) -> int:
        return len(self._ids)


def plan_batches(count: int, batch: int, rng: random.Random) -> list[list[int]]:
    """Every pair once; the rest that is too little for a contrast is left out."""
    order = list(range(count))
    rng.shuffle(order)
    batches = [order[i : i + batch] for i in range(0, count, batch)]
    return [b for b in batches if len(b) * 2 >= batch or len(batches) == 1]


def last_lines(text: str, count: int) -> str:
    """The end of a query: what stands right before the cursor says most."""
    return "\n".join(text.split("\n")[-count:])


def contrast_loss(
    queries: torch.Tensor, texts: torch.Tensor, same: torch.Tensor, temperature: float
) -> torch.Tensor:
    """InfoNCE in both directions.

    :param same: boolean (pairs, pairs), where two pairs have the same text: no wrong answers.
    """
    scores = queries @ texts.t() / temperature
    own = torch.eye(len(scores), dtype=torch.bool)
    scores = scores.masked_fill(same & ~own, float("-inf"))
    wanted = torch.arange(len(scores))
    return (
        functional.cross_entropy(scores, wanted) + functional.cross_entropy(scores.t(), wanted)
    ) / 2


def train(
    tokenizer: Tokenizer,
    tokens: Tokens,
    pairs: Sequence[Pair],
    recipe: Contrast,
    *,
    begin: int = 0,
    on_epoch: Callable[[int, float, Tokens], None] = lambda epoch, loss, tokens: None,
) -> Tokens:
    """Train from epoch ``begin`` on; the same arguments give the same result.

    :param on_epoch: gets the number of epochs done, their last mean loss, and the tokens.
    """
    rng = random.Random(recipe.seed)
    queries = Texts(tokenizer, [last_lines(p.query, rng.choice(recipe.windows)) for p in pairs])
    texts = Texts(tokenizer, [p.text for p in pairs])
    known: dict[str, int] = {}
    ids = torch.tensor([known.setdefault(p.text, len(known)) for p in pairs])
    state = Tokens(
        tokens.vectors.clone().requires_grad_(), tokens.log_weights.clone().requires_grad_()
    )
    for epoch in range(begin, recipe.epochs):
        # An optimizer for each epoch: a checkpoint then needs the tokens alone.
        optimizer = torch.optim.Adam([{"params": [state.vectors]}, {"params": [state.log_weights]}])
        batches = plan_batches(len(pairs), recipe.batch, random.Random(f"{recipe.seed} {epoch}"))
        total = 0.0
        for step, members in enumerate(batches):
            left = 1 - (epoch + step / len(batches)) / recipe.epochs
            for group, rate in zip(
                optimizer.param_groups, (recipe.learning_rate, recipe.weight_rate), strict=True
            ):
                group["lr"] = rate * left
            merged = state.merged()
            same = ids[members][:, None] == ids[members][None, :]
            loss = contrast_loss(
                queries.embed(merged, members), texts.embed(merged, members), same,
                recipe.temperature,
            )  # fmt: skip
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach())
        done = Tokens(state.vectors.detach(), state.log_weights.detach())
        on_epoch(epoch + 1, total / max(len(batches), 1), done)
    return Tokens(state.vectors.detach(), state.log_weights.detach())


def recall(tokenizer: Tokenizer, weights: torch.Tensor, pairs: Sequence[Pair], at: int) -> float:
    """The share of queries whose text is among the ``at`` nearest of all texts of its group."""
    found = 0
    for group in sorted({p.group for p in pairs}):
        members = [p for p in pairs if p.group == group]
        known = {text: i for i, text in enumerate(dict.fromkeys(p.text for p in members))}
        texts = Texts(tokenizer, list(known)).embed(weights, range(len(known)))
        queries = Texts(tokenizer, [p.query for p in members]).embed(weights, range(len(members)))
        best = (queries @ texts.t()).topk(min(at, len(known)), dim=1).indices
        wanted = torch.tensor([known[p.text] for p in members])
        found += int((best == wanted[:, None]).any(dim=1).sum())
    return found / len(pairs)


def save(tokenizer: Tokenizer, weights: torch.Tensor, folder: Path) -> None:
    """Write a folder for sentence-transformers and model2vec, vectors in half precision."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    module = StaticEmbedding(tokenizer, embedding_weights=weights.numpy().astype(np.float32))
    module.half()
    SentenceTransformer(modules=[module], device="cpu").save(str(folder))
    (folder / "README.md").unlink(missing_ok=True)  # a template that says nothing
