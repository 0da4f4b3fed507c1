"""What a use case calls while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _ignore(text: str) -> None:
    """Nobody listens."""


def _go_on() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Callbacks:
    """``note`` gets remarks for the user (an embedder that is missing, say). ``is_cancelled``
    says whether the caller has gone. ``on_text`` gets the first candidate's whole lines so far
    while it is written; the answer may end before what was shown, and where they differ it counts.
    """

    note: Callable[[str], None] = _ignore
    is_cancelled: Callable[[], bool] = _go_on
    on_text: Callable[[str], None] | None = None
