"""Training recipes, the order and weight of examples, and their batches as tensors."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from git_copilot.assistant.training.lora import DROPOUT

# An example of weight 0 could leave a batch without loss; callers leave such examples out.
MIN_WEIGHT = 1e-3
# oneDNN caches reordered weights for each shape: few shapes take little memory.
ROUND_TO = 64
# In place of the id of a token that is left out of a loss.
NONE_EXCLUDED = -1


def round_up(length: int, step: int = ROUND_TO) -> int:
    """The next multiple of ``step``."""
    return -(-length // step) * step


class Trainable(Protocol):
    """The part of an example that training needs
    (:class:`~git_copilot.assistant.dataset.examples.Example` is one). ``middle_ids`` ends with the end
    token where there are ``open_tokens``; ``teaches_end``: that is the end of something that
    somebody wrote."""

    @property
    def prompt_ids(self) -> tuple[int, ...]: ...
    @property
    def middle_ids(self) -> tuple[int, ...]: ...
    @property
    def weight(self) -> float: ...
    @property
    def open_tokens(self) -> int: ...
    @property
    def teaches_end(self) -> bool: ...
    @property
    def size(self) -> int: ...
    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """Hyperparameters. From "LoRA Without Regret": rank 16 over all linear layers, a learning rate
    ten times that of full tuning, small batches.

    ``batch`` is in examples; ``micro_tokens`` bounds the tokens of one forward pass in 16 bits; in
    32 it has half as many.
    ``warmup_steps`` are optimizer steps, ``clip`` is the largest norm of the gradient.

    ``open_weight`` is the weight of the loss on the last ``open_tokens`` tokens of the text before
    the cursor: in a prompt with the suffix first, the end of the prefix serves as a longer middle,
    at no extra forward pass.

    ``cooldown`` is the part of training, of its steps or its time, over which the learning rate
    falls to zero at the end: linearly, or with ``cosine`` along half a cosine. ``dropout`` is that of
    the adapter's inputs.
    """

    rank: int = 16
    epochs: int = 2
    batch: int = 8
    learning_rate: float = 2e-4
    warmup_steps: int = 5
    clip: float = 1.0
    micro_tokens: int = 1536
    open_weight: float = 0.0
    open_tokens: int = 96
    cooldown: float = 0.0
    seed: int = 0
    cosine: bool = False
    dropout: float = DROPOUT


@dataclass(frozen=True, slots=True)
class Decay:
    """A linear decay of the learning rate to zero in ``steps`` steps after step ``begin``, which
    ends training. Separate from the recipe, so that a long run can be ended at any checkpoint
    (warmup-stable-decay; Hu et al. 2024, arXiv 2404.06395)."""

    begin: int
    steps: int

    def rate(self, step: int) -> float:
        """The factor of the learning rate after ``step`` steps."""
        return min(1.0, max(0.0, 1 - (step - self.begin) / self.steps))


def plan_steps(examples: Sequence[Trainable], recipe: TrainingRecipe) -> list[list[int]]:
    """Batches of indices for all epochs: similar lengths together, batches in a seeded order."""
    order = sorted(range(len(examples)), key=lambda i: (examples[i].size, i))
    batches = [order[i : i + recipe.batch] for i in range(0, len(order), recipe.batch)]
    rng = random.Random(recipe.seed)
    steps = []
    for _ in range(recipe.epochs):
        rng.shuffle(batches)
        steps += [list(b) for b in batches]
    return steps


def fingerprint(examples: Sequence[Trainable], recipe: TrainingRecipe, model_name: str) -> str:
    """A hash that identifies a training run, to match checkpoints with it."""
    facts = [model_name, repr(recipe)]
    facts += [e.key if e.weight == 1 else f"{e.key} {e.weight}" for e in examples]
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def _open_count(example: Trainable, recipe: TrainingRecipe) -> int:
    """The number of tokens before the middle that have loss; a prompt's first token has none."""
    if not recipe.open_weight:
        return 0
    return min(example.open_tokens, recipe.open_tokens, len(example.prompt_ids) - 1)


def loss_weight(example: Trainable, recipe: TrainingRecipe) -> float:
    """The sum of an example's loss weights."""
    middle = len(example.middle_ids) - (not example.teaches_end)
    tokens = middle + recipe.open_weight * _open_count(example, recipe)
    return max(example.weight, MIN_WEIGHT) * tokens


@dataclass(frozen=True, slots=True)
class Packed:
    """A batch as tensors, each of shape (examples, length): ``ids``, the ``targets`` that follow
    them, the ``weights`` of their losses, and ``excluded``, the id of a token that is known not to
    follow, else :data:`NONE_EXCLUDED`."""

    ids: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    excluded: torch.Tensor

    def to(self, device: Any) -> Packed:
        """The same on another device."""
        tensors = (self.ids, self.targets, self.weights, self.excluded)
        return Packed(*(tensor.to(device) for tensor in tensors))


def pack(examples: Sequence[Trainable], length: int, recipe: TrainingRecipe) -> Packed:
    """Render examples, padded behind the text.

    The text before a hole is learnt as if it were a longer middle, which does not end there: its
    losses leave out the end token. Otherwise hundreds of tokens would teach that no middle ever
    ends, and one that it does. Where a passage of a file ends says nothing either, so its middle
    leaves the end token out as well (docs/decisions/0041-where-holes-end.md).
    """
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    targets, weights = torch.zeros_like(ids), torch.zeros(len(examples), length)
    excluded = torch.full_like(ids, NONE_EXCLUDED)
    for row, example in enumerate(examples):
        ids[row, : example.size] = torch.tensor(example.prompt_ids + example.middle_ids)
        targets[row, :-1] = ids[row, 1:]
        first, last = len(example.prompt_ids) - 1, example.size - 1
        last -= not example.teaches_end
        weight = max(example.weight, MIN_WEIGHT)
        begin = first - _open_count(example, recipe)
        weights[row, begin:first] = weight * recipe.open_weight
        weights[row, first:last] = weight
        endless = slice(begin, first if example.teaches_end else last)
        end = example.middle_ids[-1]
        excluded[row, endless] = torch.where(targets[row, endless] == end, NONE_EXCLUDED, end)
    return Packed(ids, targets, weights, excluded)
