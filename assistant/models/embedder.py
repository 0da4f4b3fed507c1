"""Loads the embedder of the settings, if it is on this machine."""

from __future__ import annotations

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.models.catalogue import is_ready, resolve_model
from git_copilot.index.core.types import Embedder


def ready_embedder(settings: Settings) -> Embedder | None:
    """The configured embedder, ``None`` where it is not on this machine."""
    if not is_ready(settings.embedder):
        return None
    from git_copilot.index.embedding.embedders import load_embedder

    return load_embedder(settings.embedder, resolve_model(settings.embedder))
