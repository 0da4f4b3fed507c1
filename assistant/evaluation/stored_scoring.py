"""Scores one loaded model hole by hole, and measures nothing that is stored already."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from git_copilot.assistant.adapters.adapter_store import CONFIG, WEIGHTS
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.evaluation.batched_scoring import Completion
from git_copilot.assistant.evaluation.metrics import Score
from git_copilot.assistant.evaluation.score_store import (
    ScoreStore,
    StoredScore,
    files_identity,
    score_key,
)


class ScoringModel(Protocol):
    """A loaded model: see :class:`~git_copilot.assistant.evaluation.arms.LoadedArm`."""

    @property
    def precision(self) -> str: ...
    def score(
        self,
        examples: Sequence[Example],
        *,
        generate: bool,
        drafts: Sequence[Sequence[int]],
        collect: Callable[[int, Completion], None] | None,
    ) -> list[Score]: ...


def base_identity(name: str, folder: Path) -> str:
    """A text that identifies the weights of a base model.

    :param folder: the model's.
    """
    # The configuration and the copy weights count as well.
    files = [*folder.glob("*.safetensors"), *folder.glob("*.json")]
    return f"{name}\n{files_identity(files)}"


def adapter_identity(base: str, adapter: Path | None) -> str:
    """The same for a base model with an adapter.

    :param base: identifies the base model.
    :param adapter: its folder; ``None``: the base model alone.
    """
    if adapter is None:
        return base
    # The configuration has the scale.
    files = (adapter / name for name in (WEIGHTS, CONFIG))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    return f"{base}\n{digest}"


class StoredScoring:
    """Scores of one loaded model, those that are known already from the store; ``measured`` counts
    the others."""

    def __init__(
        self,
        arm: ScoringModel,
        identity: str,
        settings: Settings,
        store: ScoreStore,
        drafts: Sequence[tuple[int, ...]] = (),
    ) -> None:
        """:param identity: of the model, see :func:`adapter_identity`.
        :param drafts: what another model wrote at the same holes, in their order. Two models that
            behave alike write the same: a second decoding then costs little more than a forward
            pass.
        """
        self.measured = 0
        self._arm, self._identity = arm, identity
        self._settings, self._store = settings, store
        self._drafts = drafts

    def score(
        self, examples: Sequence[Example], *, generate: bool, first: int = 0
    ) -> list[StoredScore]:
        """Scores of ``examples``, the first of which is hole number ``first``."""
        identity = (self._identity, self._arm.precision)
        keys = [score_key(*identity, example, self._settings) for example in examples]
        known = [self._store.get(key, completed=generate) for key in keys]
        missing = [i for i, stored in enumerate(known) if stored is None]
        made: dict[int, Completion] = {}
        scores = self._arm.score(
            [examples[i] for i in missing],
            generate=generate,
            drafts=[self._draft(first + i) for i in missing],
            collect=made.__setitem__,
        )
        for place, (i, score) in enumerate(zip(missing, scores, strict=True)):
            found = made.get(place)
            stored = StoredScore(score, found.ids, found.text) if found else StoredScore(score)
            self._store.put(keys[i], stored)
            known[i] = stored
        self.measured += len(missing)
        return [stored for stored in known if stored is not None]

    def _draft(self, place: int) -> tuple[int, ...]:
        return self._drafts[place] if place < len(self._drafts) else ()
