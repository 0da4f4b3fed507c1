"""Trains a LoRA adapter on examples: a loop of its own, because that is where the time goes.

Fused low-rank layers (lora.py), bf16 adapters with float32 masters, logits only where there is
loss, and padding behind the text, so that no attention mask is needed. On two cores, 4 x 512
tokens of SmolLM2-135M: 650 tokens/s and 3.1 GB; PEFT's own layers reach 390 and take 5.2 GB.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch.nn import functional

from git_copilot.assistant import checkpoint
from git_copilot.assistant.evaluate import only_positions, round_up
from git_copilot.assistant.lora import add_adapter, save_adapter
from git_copilot.index.errors import ModelError
from git_copilot.index.types import Progress, no_progress

CHECKPOINT_STEPS = 5
# An example of weight 0 would leave a batch without loss; who wants none leaves it out.
MIN_WEIGHT = 1e-3


class Trainable(Protocol):
    """An example as training sees it (:class:`~git_copilot.assistant.dataset.Example` is one)."""

    @property
    def prompt_ids(self) -> tuple[int, ...]: ...
    @property
    def middle_ids(self) -> tuple[int, ...]: ...
    @property
    def weight(self) -> float: ...
    @property
    def open_tokens(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def key(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. The values are those of arXiv 2503.14201 and "LoRA Without Regret": rank 16
    over all linear layers, a constant learning rate ten times that of full tuning, small batches.

    ``micro_tokens`` bounds what is in memory at once, ``batch`` is in examples.

    ``open_weight`` is the weight of the loss on the last ``open_tokens`` tokens of the text before
    the cursor: where a prompt shows the suffix first and then the prefix, the end of the prefix is
    as good a middle as the middle itself, only longer, and costs no extra forward pass.
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
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Decay:
    """The learning rate falls linearly to nothing in ``steps`` steps after step ``begin``, and
    training ends. Chosen apart from the recipe, so that a long run can be ended at any checkpoint
    (warm-up, stable, decay; Hu et al. 2024, arXiv 2404.06395)."""

    begin: int
    steps: int

    def rate(self, step: int) -> float:
        """The share of the learning rate for the step after ``step`` steps."""
        return min(1.0, max(0.0, 1 - (step - self.begin) / self.steps))


@dataclass(frozen=True, slots=True)
class TrainReport:
    """What training did. ``loss`` is the mean of the last epoch's steps in nats per token;
    ``stopped`` says that the time ran out before the planned ``planned_steps``."""

    steps: int
    planned_steps: int
    resumed_at: int
    tokens: int
    seconds: float
    loss: float
    stopped: bool


def plan_steps(examples: Sequence[Trainable], recipe: Recipe) -> list[list[int]]:
    """Batches of indices for all epochs: like lengths together, batches in a seeded order."""
    order = sorted(range(len(examples)), key=lambda i: (examples[i].size, i))
    batches = [order[i : i + recipe.batch] for i in range(0, len(order), recipe.batch)]
    rng = random.Random(recipe.seed)
    steps = []
    for _ in range(recipe.epochs):
        rng.shuffle(batches)
        steps += [list(b) for b in batches]
    return steps


def fingerprint(examples: Sequence[Trainable], recipe: Recipe, model_name: str) -> str:
    """Tells whether a checkpoint belongs to this training."""
    facts = [model_name, repr(recipe)]
    facts += [e.key for e in examples]
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()


def train_adapter(
    model: Any,
    examples: Sequence[Trainable],
    recipe: Recipe,
    *,
    model_name: str,
    work: Path,
    seconds: float | None = None,
    decay: Decay | None = None,
    progress: Progress = no_progress,
    on_loss: Callable[[int, float], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainReport:
    """Train and save an adapter to ``work / "candidate"``, loadable by peft.

    A run that was killed or interrupted continues from its last checkpoint in ``work``; one that
    belongs to other examples, or is damaged, is started anew.

    :param model: a freshly loaded model; it is changed.
    :param seconds: stop cleanly after so long, at a step's end.
    :raises ModelError: memory does not suffice.
    :raises OSError: ``work`` cannot be written.
    """
    begun = clock()
    state = _State(add_adapter(model, recipe.rank, recipe.seed), recipe)
    mark = fingerprint(examples, recipe, model_name)
    steps = plan_steps(examples, recipe)
    if decay is not None:
        steps = steps[: decay.begin + decay.steps]
        state.decay = decay
    resumed = checkpoint.load(work, mark, state.tensors())
    state.publish()
    state.step, losses, tokens, stopped = resumed, [], 0, False
    try:
        with only_positions(state.model.get_base_model()) as choose:
            while state.step < len(steps):
                if seconds is not None and clock() - begun >= seconds and state.step > 0:
                    stopped = True
                    break
                progress("training", state.step, len(steps))
                chosen = [examples[i] for i in steps[state.step]]
                losses.append(_step(state, chosen, choose))
                tokens += sum(e.size for e in chosen)
                if on_loss is not None:
                    on_loss(state.step, losses[-1])
                if state.step % CHECKPOINT_STEPS == 0:
                    checkpoint.save(work, mark, state.step, state.tensors())
    except KeyboardInterrupt:
        if state.whole:
            checkpoint.save(work, mark, state.step, state.tensors())
        raise
    except RuntimeError as exc:
        raise _explain(exc) from exc
    checkpoint.save(work, mark, state.step, state.tensors())
    progress("training", len(steps), len(steps))
    save_adapter(state.model, work / "candidate", model_name)
    recent = losses[-max(1, len(steps) // recipe.epochs) :]
    return TrainReport(
        steps=state.step,
        planned_steps=len(steps),
        resumed_at=resumed,
        tokens=tokens,
        seconds=clock() - begun,
        loss=sum(recent) / len(recent) if recent else 0.0,
        stopped=stopped,
    )


class _State:
    """The model, float32 masters of its adapter weights, and AdamW's moments."""

    def __init__(self, model: Any, recipe: Recipe) -> None:
        self.model = model
        self.recipe = recipe
        self.decay: Decay | None = None
        self.step = 0
        self.whole = True  # False while an update is half done
        self.weights = [p for p in model.parameters() if p.requires_grad]
        # bf16 is too coarse to add small steps to: they go into float32 copies.
        self.masters = [p.detach().clone().float().requires_grad_() for p in self.weights]
        self.optimizer = torch.optim.AdamW(self.masters, lr=recipe.learning_rate, weight_decay=0.01)
        for master in self.masters:  # moments exist from the start, so they can be loaded into
            self.optimizer.state[master] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(master),
                "exp_avg_sq": torch.zeros_like(master),
            }

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that a step changes, by name; loading writes into them in place."""
        found = {}
        for i, master in enumerate(self.masters):
            found[f"{i}.master"] = master.data
            for key, value in self.optimizer.state[master].items():
                found[f"{i}.{key}"] = value
        return found

    def update(self) -> None:
        """One optimizer step from the masters' gradients, copied into the model."""
        torch.nn.utils.clip_grad_norm_(self.masters, self.recipe.clip)
        warm = min(1.0, (self.step + 1) / max(1, self.recipe.warmup_steps))
        falling = self.decay.rate(self.step) if self.decay else 1.0
        self.optimizer.param_groups[0]["lr"] = self.recipe.learning_rate * warm * falling
        self.whole = False
        self.optimizer.step()
        self.step += 1
        self.whole = True
        self.optimizer.zero_grad(set_to_none=True)
        self.publish()

    def publish(self) -> None:
        """Copy the masters into the model."""
        with torch.no_grad():
            for weight, master in zip(self.weights, self.masters, strict=True):
                weight.copy_(master)


def _step(
    state: _State, examples: Sequence[Trainable], choose: Callable[[torch.Tensor | None], None]
) -> float:
    """One batch, in parts that fit into memory; return its loss in nats per token."""
    # Dropout depends on the step alone, so a resumed run equals one that was never stopped.
    torch.manual_seed(state.recipe.seed * 1_000_003 + state.step)
    count = sum(_loss_weight(e, state.recipe) for e in examples)
    length = round_up(max(e.size for e in examples))
    rows = max(1, state.recipe.micro_tokens // length)
    total = 0.0
    for begin in range(0, len(examples), rows):
        part = examples[begin : begin + rows]
        packed = _pack(part, round_up(max(e.size for e in part)), state.recipe)
        ids, targets, weights = (tensor.to(state.model.device) for tensor in packed)
        wanted = weights > 0
        choose(wanted)
        # Padding stands behind the text, where a causal model never looks: no mask is needed.
        logits = state.model(ids, use_cache=False).logits
        losses = functional.cross_entropy(logits.float(), targets[wanted], reduction="none")
        loss = (losses * weights[wanted]).sum() / count
        loss.backward()  # type: ignore[no-untyped-call]
        for weight, master in zip(state.weights, state.masters, strict=True):
            if weight.grad is not None:
                grad = weight.grad.float()
                master.grad = grad if master.grad is None else master.grad + grad
                weight.grad = None
        total += float(loss.detach())
    state.update()
    return total


def _open(example: Trainable, recipe: Recipe) -> int:
    """How many tokens before the middle have loss; each has at least one token before it."""
    if not recipe.open_weight:
        return 0
    return min(example.open_tokens, recipe.open_tokens, len(example.prompt_ids) - 1)


def _loss_weight(example: Trainable, recipe: Recipe) -> float:
    """The sum of an example's loss weights."""
    tokens = len(example.middle_ids) + recipe.open_weight * _open(example, recipe)
    return max(example.weight, MIN_WEIGHT) * tokens


def _pack(
    examples: Sequence[Trainable], length: int, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, next-token targets and their loss weights, each of shape (examples, length)."""
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    targets, weights = torch.zeros_like(ids), torch.zeros(len(examples), length)
    for row, example in enumerate(examples):
        ids[row, : example.size] = torch.tensor(example.prompt_ids + example.middle_ids)
        targets[row, :-1] = ids[row, 1:]
        first, last = len(example.prompt_ids) - 1, example.size - 1
        weight = max(example.weight, MIN_WEIGHT)
        weights[row, first - _open(example, recipe) : first] = weight * recipe.open_weight
        weights[row, first:last] = weight
    return ids, targets, weights


def _explain(exc: RuntimeError) -> ModelError | RuntimeError:
    if isinstance(exc, torch.OutOfMemoryError) or "allocate" in str(exc):
        return ModelError(
            "there is not enough memory to train this model",
            "choose a smaller one with `git copilot model use`",
        )
    return exc
