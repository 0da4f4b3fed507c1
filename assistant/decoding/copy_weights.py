"""The weights that say how much one model copies, and where its answers end: see copy_model.py."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.decoding.confidence import ConfidenceWeights
from git_copilot.index.core.errors import ModelError

NAME = "copying.json"
# Longer matches, in tokens, count as this long.
LONGEST = 16
MIN_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True)
class CopyWeights:
    """Weights of the logistic function that says how much of the probability is copied.

    ``share`` weighs the logarithm of the share of the most frequent continuation, ``sure`` and
    ``log_sure`` the model's probability of its own first choice and its logarithm, ``agreed``
    the logarithm of the probability that the model gives to what would be copied; ``lengths`` is
    added for a match of 1, 2, … :data:`LONGEST` tokens. ``ending`` is added to the logits of the
    end tokens once something is written, copied or not. ``line_end``: where the rest of a line is
    requested and written, the answer ends unless another line is more likely than the end by this
    many nats (``None``: the model's choice decides). ``token_reward``: in nats, offsets the
    probability that a longer line loses in the search for a likelier one, see best_first_search.py
    (``None``: no search). ``member``: in nats, for tokens that write a name which is known to exist
    where one is asked for. ``confidence``: see confidence.py (``None``: unknown).
    """

    share: float
    sure: float
    log_sure: float
    agreed: float
    lengths: tuple[float, ...]
    ending: float = 0.0
    line_end: float | None = None
    token_reward: float | None = None
    member: float = 0.0
    confidence: ConfidenceWeights | None = None

    def copied_part(self, length: int, share: float, confidence: float, agreed: float) -> float:
        """The part of the probability that is copied, between 0 and 1.

        :param length: of the match, in tokens.
        :param share: of the most frequent continuation.
        :param confidence: the model's probability of its first choice.
        :param agreed: the model's probability of what would be copied.
        """
        value = (
            self.lengths[length - 1]
            + self.share * math.log(share)
            + self.sure * confidence
            + self.log_sure * math.log(max(confidence, MIN_PROBABILITY))
            + self.agreed * math.log(agreed + MIN_PROBABILITY)
        )
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, value))))


def read_copy_weights(folder: Path) -> CopyWeights | None:
    """The weights in a model's folder; ``None``: it has none, and the model copies nothing.

    :raises ModelError: the file is damaged.
    """
    try:
        facts = json.loads((folder / NAME).read_text("utf-8"))
        lengths = tuple(map(float, facts.pop("lengths")))
        line_end, reward = facts.pop("line_end", None), facts.pop("token_reward", None)
        confidence = facts.pop("confidence", None)
        found = CopyWeights(
            **{name: float(value) for name, value in facts.items()},
            lengths=lengths,
            line_end=None if line_end is None else float(line_end),
            token_reward=None if reward is None else float(reward),
            confidence=None if confidence is None else ConfidenceWeights.from_json(confidence),
        )
        if len(found.lengths) != LONGEST:
            raise ValueError(f"{len(found.lengths)} lengths instead of {LONGEST}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ModelError(
            f"{folder / NAME} cannot be read ({str(exc)[:160]})", "pull the model again"
        ) from exc
    return found
