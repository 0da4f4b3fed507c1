"""Priors of files, which do not depend on their text. Pure but for the columns it is given.

A prior multiplies the lexical score, so a chunk that shares no word with the query gains nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from git_copilot.index.search.chunk_table import ChunkTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from git_copilot.index.search.fusion import RankingWeights

# A package's own module has the name of its folder.
_PACKAGE_FILES = ("__init__", "index", "mod")


def module_name(path: str) -> str:
    """The name under which code imports the file: its stem, or its folder for a package file."""
    stem = posixpath.basename(path).partition(".")[0]
    return posixpath.basename(posixpath.dirname(path)) if stem in _PACKAGE_FILES else stem


def path_prior(
    path: str, modules: Collection[str], partners: Mapping[str, float], ranking: RankingWeights
) -> float:
    """The factor for the scores of one file's chunks.

    :param modules: names that the code at the cursor imports.
    :param partners: files that are coupled to the cursor's file, 1 for the closest.
    """
    imported = module_name(path) in modules
    return 1 + ranking.import_prior * imported + ranking.partner_prior * partners.get(path, 0.0)


class Priors:
    """The priors of the files in a view."""

    def __init__(self, table: ChunkTable) -> None:
        self._table = table
        self.refresh()

    def refresh(self) -> None:
        """Update after the view has changed."""
        self._modules: dict[str, list[int]] = {}
        for number, path in enumerate(self._table.paths):
            self._modules.setdefault(module_name(path), []).append(number)

    def boost(
        self, modules: Collection[str], partners: Mapping[str, float], ranking: RankingWeights
    ) -> NDArray[np.float64]:
        """:func:`path_prior` for each position of the chunk table."""
        factors = np.ones(len(self._table.paths))
        for module in set(modules):
            factors[self._modules.get(module, [])] += ranking.import_prior
        for path, tie in partners.items():
            number = self._table.file_index(path)
            if number is not None:
                factors[number] += ranking.partner_prior * tie
        spread: NDArray[np.float64] = factors[self._table.file_of]
        return spread
