"""Training that goes on from the adapter in use, instead of from a new one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.split import MIN_TRAIN
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.holes import seeded_random

# Values of ``copilot.refreshStart``.
BASE, ADAPTER, REPLAY = "base", "adapter", "replay"


@dataclass(frozen=True, slots=True)
class WarmStart:
    """The adapter to go on from and the commits that it learnt from; ``replays``: some of their
    holes are learnt again."""

    adapter: str
    folder: Path
    learnt: frozenset[str]
    replays: bool

    def choose(self, weights: Mapping[Hole, float], seed: int) -> dict[Hole, float]:
        """The holes that are new to the adapter, with replay as many of the others, in their order.
        Where fewer are new than a refresh needs, others make up for them."""
        new = {hole for hole in weights if hole.commit not in self.learnt}
        known = [hole for hole in weights if hole not in new]
        count = max(len(new) if self.replays else 0, MIN_TRAIN - len(new))
        seeded_random("replay", self.adapter, str(seed)).shuffle(known)
        chosen = new.union(islice(known, count))
        return {hole: value for hole, value in weights.items() if hole in chosen}


def warm_start(context: RepositoryContext, incumbent: str | None) -> WarmStart | None:
    """Where training starts by the settings; ``None``: from a new adapter.

    :param incumbent: the adapter in use, made for the model that is trained.
    """
    settings = context.settings
    if settings.refresh_start == BASE or incumbent is None:
        return None
    folder = adapter_store.adapter_path(context.state_dir, incumbent)
    rank = json.loads((folder / adapter_store.CONFIG).read_text("utf-8")).get("r")
    if rank != settings.adapter_rank:
        context.note(
            f"training starts from a new adapter: {incumbent} has rank {rank},"
            f" not {settings.adapter_rank}"
        )
        return None
    learnt = adapter_store.trained_on(context.state_dir, incumbent)
    return WarmStart(incumbent, folder, learnt, settings.refresh_start == REPLAY)
