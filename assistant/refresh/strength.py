"""How strongly an adapter acts: a scale between the base model (0) and what was trained (1), chosen
by holes that do not judge it.

The way from the base model to the trained one first makes later code more likely and then less,
while other code becomes less likely all the way, slowly at first: both are close to parabolas, so
three points tell them. Interpolating weights after fine-tuning is due to Wortsman et al. 2022
(WiSE-FT, arXiv 2109.01903); for LoRA it scales the product that is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from git_copilot.assistant.adapters.adapter_store import CONFIG
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.dataset.split import MIN_COMMITS, MIN_HOLES
from git_copilot.assistant.evaluation.regression_check import TOLERANCE
from git_copilot.assistant.refresh.judging import Judge, Until
from git_copilot.assistant.training.lora import scale_adapter
from git_copilot.index.core.types import Hole

# Of the held-out holes at most this part and this number choose the scale.
CHOOSING_SHARE, CHOOSING_HOLES = 1 / 4, 32
# The scales that are measured.
MEASURED = (0.0, 0.5, 1.0)
# Where too few holes are held out to choose.
DEFAULT_SCALE = 0.5
_SCALES = tuple(i / 20 for i in range(4, 21))
# Of what the regression check tolerates, this part may be used up.
OUTSIDE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Strength:
    """``scale`` is the chosen one, by ``holes`` holes; ``inside`` are nats per token of their
    middles at :data:`MEASURED` scales, ``outside`` those of code outside the repository. Both are
    empty where nothing was measured."""

    scale: float
    holes: int = 0
    inside: tuple[float, ...] = ()
    outside: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object ``strength`` of a report."""
        return asdict(self)


def choosing_commits(holes: Sequence[Hole]) -> frozenset[str]:
    """The commits, the oldest of the held-out ones, whose holes choose the scale; none where the
    others would be too few to judge."""
    sizes: dict[str, int] = {}
    for hole in sorted(holes, key=lambda hole: (hole.time, hole.commit)):
        sizes[hole.commit] = sizes.get(hole.commit, 0) + 1
    wanted = min(CHOOSING_HOLES, int(len(holes) * CHOOSING_SHARE))
    chosen, count = list[str](), 0
    for commit, size in sizes.items():
        if count >= wanted:
            break
        chosen.append(commit)
        count += size
    enough = len(holes) - count >= MIN_HOLES and len(sizes) - len(chosen) >= MIN_COMMITS
    return frozenset(chosen) if enough else frozenset()


def choose_strength(
    judge: Judge,
    candidate: Path,
    choosing: Sequence[Example],
    until: Until,
    fixed: float | None = None,
) -> Strength:
    """Choose the scale of the adapter in ``candidate``, which then has it.

    :param choosing: the holes for that; without any, or without time, :data:`DEFAULT_SCALE` it is.
    :param fixed: the scale, where it is not to be chosen.
    :raises ModelError: the adapter cannot be loaded.
    """
    found = None
    if choosing and fixed is None:
        found = _measure(judge, candidate, choosing, until)
    strength = found or Strength(DEFAULT_SCALE if fixed is None else fixed)
    scale_adapter(candidate / CONFIG, strength.scale)
    return strength


def _measure(
    judge: Judge, candidate: Path, choosing: Sequence[Example], until: Until
) -> Strength | None:
    inside, outside = list[float](), list[float]()
    for scale in MEASURED:
        if scale:
            scale_adapter(candidate / CONFIG, scale)
        both = judge.likelihoods(candidate if scale else None, choosing, until)
        if both is None:
            return None
        inside.append(both[0])
        outside.append(both[1])
    scale = best_scale(inside, outside)
    return Strength(scale, len(choosing), tuple(inside), tuple(outside))


def best_scale(inside: Sequence[float], outside: Sequence[float]) -> float:
    """The scale at which the repository's code is most likely, of those that do not make other code
    much less likely. Pure.

    :param inside: nats per token at :data:`MEASURED` scales; ``outside`` likewise.
    """
    gain, loss = _parabola(inside), _parabola(outside)
    allowed = OUTSIDE_SHARE * TOLERANCE * outside[0]
    harmless = [scale for scale in _SCALES if loss(scale) <= allowed]
    return min(harmless or _SCALES[:1], key=gain)


def _parabola(values: Sequence[float]) -> Callable[[float], float]:
    """The difference to the value at 0, by the scale."""
    half, whole = values[1] - values[0], values[2] - values[0]
    return lambda scale: (4 * half - whole) * scale + (2 * whole - 4 * half) * scale**2
