"""The options of a refresh, as a command and its process in the background share them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from git_copilot.assistant.core.config import Settings


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What a refresh is to do; ``None`` stands for the settings' value.

    ``asked``: a person asked for it, so it is due in any case, and has no time limit but
    ``minutes``.
    """

    asked: bool = False
    holes: int | None = None
    held_out: int | None = None
    minutes: float | None = None
    seed: int | None = None
    form: str | None = None
    when: str | None = None
    preset: str | None = None

    def applied_to(self, settings: Settings) -> Settings:
        """``settings`` with the form and the preset that these options name."""
        if self.form is not None:
            settings = replace(settings, evaluation_form=self.form, training_form=self.form)
        return replace(settings, refresh_preset=self.preset or settings.refresh_preset)
