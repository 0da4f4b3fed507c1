"""An adapter as ``adapter list`` shows it: parts of its report, of whatever version that is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class AdapterRecord:
    """Fields are ``None`` where the report lacks them or cannot be read. ``commits`` names the
    oldest and the newest commit of ``train`` and of ``held_out``; ``created`` is in UTC."""

    id: str
    current: bool
    base_model: str | None
    created: str
    commits: Mapping[str, list[str]] | None
    promoted: bool | None
    delta_em: float | None

    @classmethod
    def of(cls, adapter: str, evidence: Mapping[str, Any], *, current: bool) -> Self:
        """The record of an adapter's ``evidence.json``."""
        stamp = time.strptime(adapter[:15], "%Y%m%d-%H%M%S")
        return cls(
            id=adapter,
            current=current,
            base_model=evidence.get("base_model"),
            created=time.strftime("%Y-%m-%dT%H:%M:%SZ", stamp),
            commits=evidence.get("commits"),
            promoted=evidence.get("promoted"),
            delta_em=evidence.get("delta_em"),
        )

    def newest_commits(self, part: str = "") -> list[str]:
        """The newest commit of each part of ``commits``, or of one (``train``, ``held_out``)."""
        spans = self.commits or {}
        return [span[-1] for name, span in spans.items() if span and part in ("", name)]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
