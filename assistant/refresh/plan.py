"""Plans a refresh that has a time limit: how many holes to learn from and to judge by. Pure.

The time of judging is bounded by :data:`JUDGING_SHARE` of the limit. Within it, as many held-out
holes as possible are judged; what remains after them is for training. Both counts grow with the
limit and with the rates, never the other way round.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from git_copilot.assistant.core.progress import duration
from git_copilot.assistant.dataset.split import MIN_HOLES

# Judging costs at most this part of the limit: what is measured must not crowd out what is learnt.
JUDGING_SHARE = 1 / 3
# The part of the limit that is planned; the rest is for what the probe did not see.
PLANNED_SHARE = 0.95
# With batches of four these make ten steps, of which five warm up. Fewer change too little for a
# difference to show.
MIN_LEARNT = 40
# Few holes are learnt in several epochs, at most MAX_EPOCHS, that together have no more examples
# than this: some 150 steps.
EPOCHS_EXAMPLES, MAX_EPOCHS = 600, 3
# Holes of the regression check: with fewer its tolerance is within chance.
MIN_GUARD = 8
# Its share of the time for judging, where that is short.
GUARD_SHARE = 1 / 4
# Training pads examples to a common length, and a busy machine is not the exception.
TRAINING_SLACK = 1.15
# What `minutes_needed` adds, so that the next run's rates may be a little worse.
ADVICE_SLACK = 1.1


@dataclass(frozen=True, slots=True)
class Rates:
    """The measured speed of this machine with one model; all are above 0.

    ``load`` is the number of seconds to load the model; ``read``, ``decode`` and ``train`` are
    tokens per second; ``held_out_hole`` and ``training_hole`` are the seconds to read, retrieve for
    and render one hole.
    """

    load: float
    read: float
    decode: float
    train: float
    held_out_hole: float
    training_hole: float


@dataclass(frozen=True, slots=True)
class Sizes:
    """Mean numbers of tokens: of a held-out hole's prompt with its middle, of a completion, of a
    training example, and of a hole of the regression check."""

    prompt: float
    completion: float
    example: float
    guard: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a plan has to keep to.

    ``seconds`` is the limit of the whole run, of which ``spent`` have passed. ``arms`` models are
    compared (base, candidate, and the adapter in use where there is one). At most ``learn`` and
    ``judge`` holes are there or wanted, and ``guard`` holes of the regression check.
    """

    seconds: float
    spent: float
    arms: int
    learn: int
    judge: int
    guard: int

    @property
    def least(self) -> tuple[int, int, int]:
        """The smallest useful numbers of holes to learn from, to judge by, and to guard with."""
        return (
            min(self.learn, MIN_LEARNT),
            min(self.judge, MIN_HOLES),
            min(self.guard, MIN_GUARD),
        )


@dataclass(frozen=True, slots=True)
class RefreshPlan:
    """How many holes to learn from (``epochs`` times), to judge by and to check for regressions, and
    the expected seconds of each phase. ``preparing`` includes what has already passed; ``enough`` is
    false where the limit does not suffice, and ``minutes_needed`` would."""

    learn: int
    judge: int
    guard: int
    preparing: float
    judging: float
    training: float
    limit: float
    enough: bool
    minutes_needed: int
    epochs: int = 1

    @property
    def total(self) -> float:
        """Expected seconds of the whole run."""
        return self.preparing + self.judging + self.training

    def to_json(self) -> dict[str, Any]:
        """The object ``plan`` of a report; times in seconds."""
        facts = asdict(self)
        del facts["enough"]
        rounded = {k: round(v, 1) if isinstance(v, float) else v for k, v in facts.items()}
        return {**rounded, "total": round(self.total, 1)}

    def line(self) -> str:
        """The plan in one line for a person."""
        return (
            f"plan: learn from {self.learn} holes and judge by {self.judge}, in about"
            f" {duration(self.total)} of {duration(self.limit)} (preparing"
            f" {duration(self.preparing)}, judging {duration(self.judging)}, training"
            f" {duration(self.training)})"
        )


@dataclass(frozen=True, slots=True)
class _Costs:
    """Seconds: of loading for all arms, of one held-out hole in all arms with its preparation, of
    one hole of the regression check in both arms, of one training hole with its preparation, and
    once, and of loading the model for training, saving and promoting."""

    arms: float
    judged: float
    prepared: float
    guarded: float
    learnt: float
    rendered: float
    closing: float

    @classmethod
    def of(cls, rates: Rates, sizes: Sizes, bounds: Bounds) -> _Costs:
        once = sizes.prompt / rates.read + sizes.completion / rates.decode
        training = sizes.example / rates.train * TRAINING_SLACK
        return cls(
            arms=bounds.arms * rates.load,
            judged=bounds.arms * once + rates.held_out_hole,
            prepared=rates.held_out_hole,
            guarded=2 * sizes.guard / rates.read,
            learnt=training + rates.training_hole,
            rendered=rates.training_hole,
            closing=2 * rates.load,
        )


def plan_refresh(rates: Rates, sizes: Sizes, bounds: Bounds) -> RefreshPlan:
    """The largest useful plan within ``bounds``, or the smallest useful one with ``enough`` false.

    Training first gets what the smallest useful training takes, then judging up to its share, and
    the rest is for training.
    """
    cost = _Costs.of(rates, sizes, bounds)
    learn, judge, guard = bounds.least
    smallest_judging = cost.arms + judge * cost.judged + guard * cost.guarded
    smallest_training = cost.closing + learn * cost.learnt
    needed = max(
        smallest_judging / JUDGING_SHARE,
        (bounds.spent + smallest_judging + smallest_training) / PLANNED_SHARE,
    )
    minutes = max(1, math.ceil(needed * ADVICE_SLACK / 60))
    enough, epochs = needed <= bounds.seconds, 1
    if enough:
        usable = PLANNED_SHARE * bounds.seconds - bounds.spent
        largest_judging = cost.arms + bounds.judge * cost.judged + bounds.guard * cost.guarded
        time = max(
            smallest_judging,
            min(JUDGING_SHARE * bounds.seconds, largest_judging, usable - smallest_training),
        )
        judge, guard = _share_judging(time - cost.arms, cost, bounds)
        learn = _fitting(usable - time - cost.closing, cost.learnt, learn, bounds.learn)
        left = usable - time - cost.closing - learn * cost.rendered
        epochs = _fitting(left, learn * (cost.learnt - cost.rendered), 1, most_epochs(learn))
    return RefreshPlan(
        learn=learn,
        judge=judge,
        guard=guard,
        preparing=bounds.spent + judge * cost.prepared + learn * cost.rendered,
        judging=cost.arms + judge * (cost.judged - cost.prepared) + guard * cost.guarded,
        training=cost.closing + epochs * learn * (cost.learnt - cost.rendered),
        limit=bounds.seconds,
        enough=enough,
        minutes_needed=minutes,
        epochs=epochs,
    )


def most_epochs(holes: int) -> int:
    """How often few holes are worth learning."""
    return max(1, min(MAX_EPOCHS, EPOCHS_EXAMPLES // max(1, holes)))


def judged_in_share(limit: float, spent: float, seconds: float, count: int) -> int:
    """How many of ``count`` held-out holes another model can be judged by within the share of
    judging.

    :param limit: of the run in seconds, of which judging has taken ``spent``.
    :param seconds: what judging by all holes takes; 0: nothing.
    """
    room = max(0.0, limit * JUDGING_SHARE - spent)
    return count if room >= seconds else int(count * room / seconds)


def _share_judging(time: float, cost: _Costs, bounds: Bounds) -> tuple[int, int]:
    """The numbers of held-out holes and of regression holes for which ``time`` (seconds)
    suffices."""
    _, judge, guard = bounds.least
    room = time - judge * cost.judged  # the smallest judgement comes first
    guarding = min(max(guard * cost.guarded, time * GUARD_SHARE), bounds.guard * cost.guarded, room)
    judged = _fitting(time - guarding, cost.judged, judge, bounds.judge)
    return judged, _fitting(guarding, cost.guarded, guard, bounds.guard)


def _fitting(time: float, each: float, least: int, most: int) -> int:
    """How many holes of ``each`` seconds fit into ``time``, between ``least`` and ``most``."""
    # A rounding error must not cost the last hole of a time that was made for it.
    return max(least, min(most, math.floor(time / each * (1 + 1e-9)) if each > 0 else most))
