"""Recipes of a refresh by name: what is learnt, how, and how strongly the adapter then acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.hole_selection import SNAPSHOT
from git_copilot.assistant.dataset.sequences import CHARACTERS_PER_TOKEN

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Preset:
    """``recipe`` are fields of
    :class:`~git_copilot.assistant.training.batches.TrainingRecipe`; ``settings`` are fields of
    :class:`~git_copilot.assistant.core.config.Settings` that hold instead of the user's.

    ``sequence_tokens``: learn whole passages of files of this length, see
    :mod:`~git_copilot.assistant.dataset.sequences`; ``None``: holes behind the text before them.
    ``strength``: the scale at which the adapter acts; ``None``: it is chosen, see
    :mod:`~git_copilot.assistant.refresh.strength`. Warming up takes at most ``warmup_share`` of the
    steps.
    """

    recipe: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    sequence_tokens: int | None = None
    strength: float | None = None
    warmup_share: float = 1.0

    @property
    def characters(self) -> int | None:
        """The length of a sequence in characters."""
        tokens = self.sequence_tokens
        return None if tokens is None else tokens * CHARACTERS_PER_TOKEN

    def applied_to(self, settings: Settings) -> Settings:
        """``settings`` with those of this preset."""
        return replace(settings, **self.settings)


PRESETS: Mapping[str, Preset] = {
    # What the text before a hole weighs, and how long it may be: all of it counts in full, since
    # one hole has too few tokens to learn from (docs/decisions/0038-learn-every-token.md).
    DEFAULT: Preset(
        {
            "epochs": 1,
            "batch": 4,
            "learning_rate": 3e-4,
            "open_weight": 1.0,
            "open_tokens": 1024,
            "cooldown": 0.4,
        }
    ),
    # The QLoRA run of Hugging Face's "Personal Copilot: Train Your Own Coding Assistant", whose
    # adapter was merged with weight 0.8. Alpha is twice the rank in all of our adapters.
    "personal-copilot": Preset(
        {
            "epochs": 1,
            "batch": 16,
            "learning_rate": 5e-4,
            "warmup_steps": 30,
            "cooldown": 1.0,
            "cosine": True,
            "dropout": 0.0,
        },
        {"corpus_source": SNAPSHOT, "adapter_rank": 32},
        sequence_tokens=2048,
        strength=0.8,
        warmup_share=0.1,
    ),
}
