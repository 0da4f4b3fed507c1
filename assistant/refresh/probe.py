"""Measures in a few seconds how fast this machine prepares, judges and learns from holes."""

from __future__ import annotations

import gc
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from git_copilot.assistant.dataset.cuts import read_cuts
from git_copilot.assistant.dataset.examples import Example, retrieve_in_turn
from git_copilot.assistant.evaluation.arms import LoadedArm
from git_copilot.assistant.evaluation.speed import measure_speed, shortened
from git_copilot.assistant.refresh.plan import Rates, Sizes
from git_copilot.assistant.refresh.preparation import render_training
from git_copilot.assistant.refresh.run_state import RefreshRun
from git_copilot.assistant.training.batches import plan_steps
from git_copilot.assistant.training.trainer import train_adapter
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import os_errors
from git_copilot.index.core.types import Hit, Hole

# Held-out holes that are prepared: enough for a mean, and each is prepared again later.
PROBED_HOLES = 8
# Tokens of the prompts in measured steps of training.
TRAINED_TOKENS = (32, 200)
# Where even that takes long, fewer steps are taken.
PROBING_SHARE, PROBING_SECONDS = 0.05, 10.0
# A batch is at most this much faster than one example, whatever two short times say.
MAX_BATCH_GAIN = 2.0
# Older trees than those probed have more files that the index has never seen, and holes are
# compared with each other besides.
PREPARING_SLACK = 1.3
# A completion costs a few forward passes beyond the tokens of the middle.
EXTRA_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Probe:
    """What was measured, and the base model that is loaded now."""

    rates: Rates
    sizes: Sizes
    arm: LoadedArm


def probe(run: RefreshRun, holes: Sequence[Hole], guard: Sequence[Example]) -> Probe:
    """Prepare a few holes, train a few short steps on one of them, and read another.

    :param holes: held-out ones, in the order of judging.
    :param guard: the holes of the regression check.
    :raises CopilotError: none of the holes can be read, or the model cannot be loaded.
    """
    progress, now = run.context.progress, run.clock.now
    progress("measuring speed", 0, 3)
    held, training, prepared = _prepare(run, holes[:PROBED_HOLES])
    progress("measuring speed", 1, 3)
    train = _training_rate(run, max(training, key=lambda example: example.size))
    gc.collect()
    progress("measuring speed", 2, 3)
    begun = now()
    arm = run.evaluator.load_arm(None)
    load = now() - begun
    speed = measure_speed(arm, max(held, key=lambda example: example.size), now)
    progress("measuring speed", 3, 3)
    most = run.context.settings.max_tokens
    rates = Rates(max(load, 1e-3), speed.read, speed.decode, train, *prepared)
    sizes = Sizes(
        prompt=fmean(e.size for e in held),
        completion=fmean(min(len(e.middle_ids), most) + EXTRA_TOKENS for e in held),
        example=run.preset.sequence_tokens or fmean(e.size for e in training),
        guard=fmean([e.size for e in guard] or [0]),
    )
    return Probe(rates, sizes, arm)


def _prepare(
    run: RefreshRun, holes: Sequence[Hole]
) -> tuple[list[Example], list[Example], tuple[float, float]]:
    """Held-out examples, the same holes as training examples, and the seconds that preparing one
    of each takes."""
    now, repo = run.clock.now, run.context.repo
    begun = now()
    # Newest first, as they are retrieved later.
    ordered = sorted(holes, key=lambda hole: -hole.time)
    cuts = read_cuts(repo, ordered, run.context.settings.evaluation_form)
    reading = now() - begun
    hits, times = dict[int, list[Hit]](), list[float]()
    last = now()
    for i, found in retrieve_in_turn(run.context, cuts, held_out=len(cuts)):
        hits[i] = found
        times.append(now() - last)
        last = now()
    begun = now()
    rendered = [run.evaluator.render(cut, hits[i], repo.name) for i, cut in enumerate(cuts)]
    rendering = now() - begun
    held = [example for example in rendered if example is not None]
    if not held:
        raise CopilotError("no held-out hole can be read", "commit more code")
    begun = now()
    training = render_training(run, cuts, [hits[i] for i in range(len(cuts))])
    once = (now() - begun + reading) / len(cuts)
    # The first one waits for the view of its tree, which the others only change.
    each = fmean(times[1:] or times)
    # Half of the training examples get snippets.
    return (
        held,
        training,
        (
            max(PREPARING_SLACK * (each + (reading + rendering) / len(cuts)), 1e-4),
            max(PREPARING_SLACK * (each / 2 + once), 1e-4),
        ),
    )


def _training_rate(run: RefreshRun, example: Example) -> float:
    """Tokens per second of training."""
    short, long = (shortened(example, tokens) for tokens in TRAINED_TOKENS)
    # The first step of each length prepares kernels, and the quickest is the least disturbed.
    examples, recipe = [short] * 3 + [long] * 4, replace(run.recipe, epochs=1, batch=1)
    moments = [run.clock.now()]
    with os_errors(run.work):
        run.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=run.work) as folder:
            train_adapter(
                run.evaluator.load_for_training(),
                examples,
                recipe,
                model_name=run.context.settings.model,
                work=Path(folder),
                seconds=min(PROBING_SHARE * (run.clock.limit or math.inf), PROBING_SECONDS),
                clock=run.clock.now,
                on_loss=lambda step, loss: moments.append(run.clock.now()),
            )
    times: dict[int, float] = {}
    for (i,), begun, ended in zip(plan_steps(examples, recipe), moments, moments[1:], strict=False):
        times[examples[i].size] = min(times.get(examples[i].size, math.inf), ended - begun)
    largest = max(times)
    whole = largest / max(times[largest], 1e-3)
    # A step also has a part that does not depend on its length, which batches share.
    slope = (largest - min(times)) / max(times[largest] - times[min(times)], 1e-3)
    return min(max(whole, slope), MAX_BATCH_GAIN * whole)
