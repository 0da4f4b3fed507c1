"""Which files change together: of a commit's files, each is a little evidence for the others.

The weights are those of evolutionary coupling (Zimmermann et al. 2005, "Mining version histories
to guide software changes", https://doi.org/10.1109/TSE.2005.72), a commit's vote shared out among
its files. Commits never change, so what one touched is read once and kept in a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from git_copilot.index.core.errors import GitError
from git_copilot.index.core.files import write_atomically
from git_copilot.index.git.repository import GitRepository

FILE_NAME = "cochange.json"
# The newest commits that count: a repository's files belong together differently later on.
COMMITS = 1000
# A commit of more files is a sweeping change and says nothing of any two of them.
MAX_FILES = 30


class CoChange:
    """What the commits of one repository touched. Commits of any branch may be known; those that
    count are the ancestors of the commit that is asked about, and nothing newer."""

    def __init__(self, repo: GitRepository) -> None:
        self._repo = repo
        self._file: Path = repo.state_dir / FILE_NAME
        self._touched: dict[str, tuple[str, ...]] | None = None
        self._tip = ""
        self._of_path: dict[str, list[tuple[str, ...]]] = {}

    def partners(self, tip: str, path: str) -> Mapping[str, float]:
        """How strongly other files are tied to ``path`` by the newest :data:`COMMITS` commits up
        to ``tip``: 1 for the strongest, nothing for those that never changed with it.

        The first call for a tip reads what is new since the last one, and at most so many
        commits.
        """
        if tip != self._tip:
            self._of_path = self._by_path(tip)
            self._tip = tip
        weights: dict[str, float] = {}
        for touched in self._of_path.get(path, ()):
            for other in touched:
                if other != path:
                    weights[other] = weights.get(other, 0.0) + 1 / (len(touched) - 1)
        most = max(weights.values(), default=1.0)
        return {other: weight / most for other, weight in weights.items()}

    def _by_path(self, tip: str) -> dict[str, list[tuple[str, ...]]]:
        listed = [
            "rev-list",
            "--no-merges",
            f"--max-count={COMMITS}",
            "--end-of-options",
            tip,
            "--",
        ]
        code, out, _ = self._repo.try_run(*listed)
        oids = out.decode().split() if code == 0 else []
        known = self._known()
        new = [oid for oid in oids if oid not in known]
        if new:
            known.update(_touched(self._repo, new))
            self._keep(known, oids)
        found: dict[str, list[tuple[str, ...]]] = {}
        for oid in oids:
            for path in known.get(oid, ()):
                found.setdefault(path, []).append(known[oid])
        return found

    def _known(self) -> dict[str, tuple[str, ...]]:
        if self._touched is None:
            try:
                stored = json.loads(self._file.read_text("utf-8", "surrogateescape"))
                self._touched = {str(oid): tuple(map(str, p)) for oid, p in stored.items()}
            except (OSError, ValueError, AttributeError, TypeError):
                self._touched = {}  # a cache: read anew
        return self._touched

    def _keep(self, known: dict[str, tuple[str, ...]], oids: Sequence[str]) -> None:
        """Store what is known; of many branches' commits only those that count now."""
        if len(known) > 4 * COMMITS:
            self._touched = known = {oid: known[oid] for oid in oids if oid in known}
        with suppress(OSError):  # read-only state: read again next time
            write_atomically(self._file, json.dumps(known).encode(), durable=False)


def _touched(repo: GitRepository, oids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The paths that each commit touched; none for one file alone or for too many."""
    feed = "".join(f"{oid}\n" for oid in oids).encode()
    try:
        out = repo.run(
            "diff-tree", "--stdin", "-r", "--root", "--name-only", "--no-renames", "-z", stdin=feed
        )
    except GitError:
        return {}  # trees that are not here (a partial clone)
    wanted = set(oids)
    found: dict[str, list[str]] = {oid: [] for oid in oids}
    commit = ""
    for record in out.split(b"\0"):
        name = os.fsdecode(record)
        if name in wanted:  # a commit's id stands before its paths
            commit = name
        elif name:
            found[commit].append(name)
    return {oid: tuple(p) if 1 < len(p) <= MAX_FILES else () for oid, p in found.items()}
