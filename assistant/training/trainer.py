"""Trains a LoRA adapter on examples, with a training loop of its own for speed on a CPU.

Fused low-rank layers (lora.py), attention as matrix products (attention.py), freed memory kept
(allocator.py), bf16 adapters with float32 masters, logits only where there is loss and never all at
once (loss.py), and padding behind the text, so that no attention mask is needed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from git_copilot.assistant.training import checkpoint
from git_copilot.assistant.training.attention import use_causal_attention
from git_copilot.assistant.training.batches import (
    Decay,
    Packed,
    Trainable,
    TrainingRecipe,
    fingerprint,
    loss_weight,
    pack,
    plan_steps,
    round_up,
)
from git_copilot.assistant.training.lora import add_adapter, save_adapter
from git_copilot.assistant.training.loss import (
    has_plain_head,
    leave_out,
    only_positions,
    weighted_loss,
)
from git_copilot.assistant.training.memory import MemoryUse, is_out_of_memory
from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.types import Progress, no_progress

CHECKPOINT_STEPS = 5
# Examples are padded to multiples of this: oneDNN caches something for every length.
LENGTH_STEP = 32


@dataclass(frozen=True, slots=True)
class TrainReport:
    """The result of training. ``loss`` is the mean of the last epoch's steps, in nats per token;
    ``stopped``: the time ran out before ``planned_steps``."""

    steps: int
    planned_steps: int
    resumed_at: int
    tokens: int
    seconds: float
    loss: float
    stopped: bool


def train_adapter(
    model: Any,
    examples: Sequence[Trainable],
    recipe: TrainingRecipe,
    *,
    model_name: str,
    work: Path,
    seconds: float = math.inf,
    decay: Decay | None = None,
    start: Path | None = None,
    progress: Progress = no_progress,
    on_loss: Callable[[int, float], None] = lambda step, loss: None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainReport:
    """Train and save an adapter to ``work / "candidate"``, loadable by peft.

    A run that was stopped resumes from its last checkpoint in ``work``, unless that is damaged or
    belongs to other examples.

    :param model: a freshly loaded transformers model; it is modified.
    :param seconds: time limit, infinite for none; training stops cleanly at the end of a step.
    :param decay: the final decay of a longer run, instead of the recipe's cooldown.
    :param start: an adapter of the same base model and rank to start from, instead of a new one.
    :param on_loss: gets the number of each step and its loss, in nats per token.
    :raises ModelError: memory does not suffice, or ``start`` does not fit.
    """
    begun = clock()
    state = _prepare(model, recipe, decay, start)
    # Another start is another run.
    run_id = fingerprint(examples, recipe, f"{model_name} {start.name}" if start else model_name)
    steps = plan_steps(examples, recipe)[: decay.begin + decay.steps if decay else None]
    resumed = checkpoint.load(work, run_id, state.tensors())
    state.publish()
    state.step, losses = resumed, []
    state.last_step, state.clock, state.begun, state.seconds = len(steps), clock, begun, seconds

    try:
        with only_positions(state.model.get_base_model()) as select:
            while state.step < len(steps) and not state.out_of_time():
                progress("training", state.step, len(steps))
                losses.append(_timed(state, [examples[i] for i in steps[state.step]], select))
                on_loss(state.step, losses[-1])
                if state.step % CHECKPOINT_STEPS == 0:
                    checkpoint.save(work, run_id, state.step, state.tensors())
    except KeyboardInterrupt:
        if state.consistent:
            checkpoint.save(work, run_id, state.step, state.tensors())
        raise
    except RuntimeError as exc:
        raise _as_model_error(exc) from exc
    checkpoint.save(work, run_id, state.step, state.tensors())
    progress("training", len(steps), len(steps))
    save_adapter(state.model, work / "candidate", model_name)
    tokens = sum(examples[i].size for step in steps[resumed : state.step] for i in step)
    recent = losses[-max(1, len(steps) // recipe.epochs) :]
    loss = sum(recent) / len(recent) if recent else 0.0
    return TrainReport(
        state.step, len(steps), resumed, tokens, clock() - begun, loss, state.step < len(steps)
    )


class _TrainingState:
    """The model, float32 masters of its adapter weights, and AdamW's moments."""

    def __init__(self, model: Any, recipe: TrainingRecipe, decay: Decay | None = None) -> None:
        self.model = model
        self.recipe = recipe
        self.decay = decay
        self.step = 0
        self.consistent = True  # False in the middle of an update
        self.clock: Callable[[], float] = time.monotonic
        self.memory = MemoryUse(model, recipe.micro_tokens)
        self.longest = 0.0  # seconds of a step: none is begun that may not end in time
        self.last_step, self.begun, self.seconds = 1, 0.0, math.inf
        self.weights = [p for p in model.parameters() if p.requires_grad]
        # bf16 is too coarse for small updates: these go into float32 copies.
        self.masters = [p.detach().clone().float().requires_grad_() for p in self.weights]
        self.optimizer = torch.optim.AdamW(self.masters, lr=recipe.learning_rate, weight_decay=0.01)
        for master in (
            self.masters
        ):  # moments exist from the start, so that a checkpoint can be loaded into them
            self.optimizer.state[master] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(master),
                "exp_avg_sq": torch.zeros_like(master),
            }

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything that a step changes, by name; loading writes into it in place."""
        found = {}
        for i, master in enumerate(self.masters):
            found[f"{i}.master"] = master.data
            for key, value in self.optimizer.state[master].items():
                found[f"{i}.{key}"] = value
        return found

    def update(self) -> None:
        """One optimizer step from the masters' gradients, copied into the model."""
        torch.nn.utils.clip_grad_norm_(self.masters, self.recipe.clip)
        warmup = min(1.0, (self.step + 1) / max(1, self.recipe.warmup_steps))
        decay = self.decay.rate(self.step) if self.decay else self._cooling()
        self.optimizer.param_groups[0]["lr"] = self.recipe.learning_rate * warmup * decay
        self.consistent = False
        self.optimizer.step()
        self.step += 1
        self.consistent = True
        self.optimizer.zero_grad(set_to_none=True)
        self.publish()

    def drop_gradients(self) -> None:
        """Forget what a step has computed so far."""
        self.optimizer.zero_grad(set_to_none=True)
        for weight in self.weights:
            weight.grad = None

    def out_of_time(self) -> bool:
        """Whether another step would not end in time; the first one is always taken."""
        return self.clock() - self.begun + self.longest >= self.seconds and self.step > 0

    def _cooling(self) -> float:
        """The factor of the learning rate by the recipe's cooldown, which ends with the steps or
        with the time, whatever is first."""
        if not self.recipe.cooldown:
            return 1.0
        passed = (self.clock() - self.begun) / max(self.seconds, 1e-9)
        left = 1 - max(self.step / max(1, self.last_step), passed)
        part = min(1.0, max(0.0, left) / self.recipe.cooldown)
        return (1 - math.cos(math.pi * part)) / 2 if self.recipe.cosine else part

    def publish(self) -> None:
        """Copy the masters into the model."""
        with torch.no_grad():
            for weight, master in zip(self.weights, self.masters, strict=True):
                weight.copy_(master)


def _prepare(
    model: Any, recipe: TrainingRecipe, decay: Decay | None, start: Path | None
) -> _TrainingState:
    use_causal_attention(model)
    wrapped = add_adapter(model, recipe.rank, recipe.seed, start, recipe.dropout)
    return _TrainingState(wrapped, recipe, decay)


def _timed(
    state: _TrainingState,
    examples: Sequence[Trainable],
    select: Callable[[torch.Tensor | None], None],
) -> float:
    begun = state.clock()
    loss = _step(state, examples, select)
    state.longest = max(state.longest, state.clock() - begun)
    return loss


def _step(
    state: _TrainingState,
    examples: Sequence[Trainable],
    select: Callable[[torch.Tensor | None], None],
) -> float:
    """Train on one batch, in parts that fit into memory; return its loss in nats per token."""
    while True:
        try:
            total = _gradients(state, examples, select)
            break
        except RuntimeError as exc:
            length = round_up(max(e.size for e in examples), LENGTH_STEP)
            if not is_out_of_memory(exc) or not state.memory.use_less(length, len(examples)):
                raise
        state.drop_gradients()
    state.update()
    return total


def _gradients(
    state: _TrainingState,
    examples: Sequence[Trainable],
    select: Callable[[torch.Tensor | None], None],
) -> float:
    """Compute the masters' gradients of one batch; return its loss in nats per token."""
    # Dropout depends only on the step, so that a resumed run equals an uninterrupted one.
    torch.manual_seed(state.recipe.seed * 1_000_003 + state.step)
    count = sum(loss_weight(e, state.recipe) for e in examples)
    length = round_up(max(e.size for e in examples), LENGTH_STEP)
    rows, total = state.memory.rows(length), 0.0
    for begin in range(0, len(examples), rows):
        part = examples[begin : begin + rows]
        packed = pack(part, round_up(max(e.size for e in part), LENGTH_STEP), state.recipe)
        loss = _loss(state, packed.to(state.model.device), select) / count
        loss.backward()  # type: ignore[no-untyped-call]
        for weight, master in zip(state.weights, state.masters, strict=True):
            if weight.grad is not None:
                grad = weight.grad.float()
                master.grad = grad if master.grad is None else master.grad + grad
                weight.grad = None
        total += float(loss.detach())
    return total


def _loss(
    state: _TrainingState, packed: Packed, select: Callable[[torch.Tensor | None], None]
) -> torch.Tensor:
    """The weighted sum of the losses of one part of a batch.

    Padding is behind the text, which a causal model never reads: no mask is needed.
    """
    model = state.model.get_base_model()
    ids, targets, weights, excluded = packed.ids, packed.targets, packed.weights, packed.excluded
    if has_plain_head(model):
        return weighted_loss(model, ids, targets, weights, excluded)
    wanted = weights > 0
    select(wanted)
    logits = model(ids, use_cache=False).logits.float()
    leave_out(logits, excluded[wanted])
    losses = functional.cross_entropy(logits, targets[wanted], reduction="none")
    return (losses * weights[wanted]).sum()


def _as_model_error(exc: RuntimeError) -> ModelError | RuntimeError:
    if is_out_of_memory(exc):
        return ModelError(
            "not enough memory to train this model",
            "choose a smaller one with `git copilot model use`",
        )
    return exc
