"""Measures how fast a loaded model reads and decodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.evaluation.arms import LoadedArm

# Tokens of the prompts that are read: enough for a rate, few enough for a slow machine.
WARM_TOKENS, MEASURED_TOKENS = 64, 256
DECODED_TOKENS = 12
# Measured again, unless that takes long.
REPEATS, ENOUGH_SECONDS = 3, 2.0


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second: of prompts that are read, and of text that is decoded."""

    read: float
    decode: float


def shortened(example: Example, tokens: int) -> Example:
    """The example with the last ``tokens`` tokens of its prompt."""
    return replace(example, prompt_ids=example.prompt_ids[-tokens:])


def measure_speed(arm: LoadedArm, example: Example, now: Callable[[], float]) -> Speed:
    """Score the end of one example, which takes a few seconds on a slow machine.

    :param now: gives seconds.
    """
    arm.score([shortened(example, WARM_TOKENS)], generate=False)
    example = shortened(example, MEASURED_TOKENS)
    read, decode, first = 0.0, 0.0, now()
    for _ in range(REPEATS):  # the quickest is the least disturbed
        begun = now()
        arm.score([example], generate=False)
        read = max(read, example.size / max(now() - begun, 1e-3))
        decode = max(decode, arm.decoding_speed(example, DECODED_TOKENS, now) or read / 10)
        if now() - first > ENOUGH_SECONDS:
            break
    return Speed(read, decode)
