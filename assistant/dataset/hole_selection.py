"""Selects the holes to train on: from commits, from the files as they are, or from both."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from git_copilot.assistant.core.config import Settings
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.feedback_store import feedback_weights
from git_copilot.index.corpus.harvest import author_identity
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.mining import HOLE_COLUMNS, load_holes, read_hole
from git_copilot.index.corpus.survival import Survival, load_survival, weight
from git_copilot.index.corpus.windows import snapshot_windows
from git_copilot.index.filters import rules
from git_copilot.index.git.history import list_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database
from git_copilot.index.store.forget import Forgotten
from git_copilot.index.text.classify import is_test

if TYPE_CHECKING:
    from git_copilot.assistant.dataset.cuts import Cut

COMMITS, SNAPSHOT, BOTH = "commits", "snapshot", "both"
SOURCES = (COMMITS, SNAPSHOT, BOTH)
AUTO = "auto"
# With fewer holes from commits, ``auto`` takes those of the tree as well.
FEW_HOLES = 300
# The share of holes that are from the tree where commits give holes as well.
TREE_SHARE = 0.75
# By these the files of a tree are ordered.
RECENT_COMMITS = 1000
# The share of the tree's holes that keep the text after them; the rate of Personal Copilot.
FIM_RATE = 0.5


def find_holes(db: Database, ids: Sequence[int]) -> list[Hole]:
    """The holes with these ids, in their order; unknown ids are skipped."""
    rows = db.query(
        f"SELECT {HOLE_COLUMNS} WHERE h.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    found = {hole.id: hole for hole in map(read_hole, rows)}
    return [found[i] for i in ids if i in found]


def choose_source(source: str, holes: int) -> str:
    """The source of training holes.

    :param source: ``copilot.corpusSource``.
    :param holes: the number of holes from commits.
    """
    if source != AUTO:
        return source
    return BOTH if holes < FEW_HOLES else COMMITS


def training_holes(
    repo: GitRepository,
    db: Database,
    settings: Settings,
    commits: Sequence[str],
    cut: str | None,
    *,
    most: int | None = None,
    characters: int | None = None,
) -> dict[Hole, float]:
    """The holes to train on with their weights (above 0, usually 1), from the source that
    ``settings.corpus_source`` names: holes of the tree, then of commits, newest first.

    Nothing newer than ``commits`` is used: neither text nor its later fate. Where tests outnumber
    the code, their weights are reduced so that together they count as much as the code.

    :param commits: ids, newest first, all older than the held-out ones.
    :param cut: the commit whose tree is the snapshot, the first of ``commits``; ``None`` where
        there is none.
    :param most: maximum number of holes; :data:`TREE_SHARE` of them, or the number that commits
        leave, are from the tree, those in the files that were changed last.
    :param characters: take whole sequences of this length from the tree instead of holes at the
        ends of passages.
    """
    forgotten = Forgotten.load(db)
    weights = hole_weights(db, trainable_holes(repo, load_holes(db, commits)), frozenset(commits))
    written = {
        hole: value
        for hole, (value, _) in weights.items()
        if value > 0 and not is_forgotten(forgotten, hole)
    }
    source = choose_source(settings.corpus_source, len(written))
    standing: dict[Hole, float] = {}
    if source == SNAPSHOT:
        written = {}
    if source != COMMITS and cut is not None:
        found = tree_holes(repo, db, cut, characters=characters)
        standing = dict.fromkeys(_apart(found, written), 1.0)
    if most is not None:
        share = max(most - len(written), round(most * TREE_SHARE)) if written else most
        standing = dict(itertools.islice(standing.items(), share))
        written = dict(itertools.islice(written.items(), most - len(standing)))
    return balanced({**standing, **written})


def hole_weights(
    db: Database, holes: Sequence[Hole], known: frozenset[str] | None = None
) -> dict[Hole, tuple[float, str]]:
    """The training weight of each hole and the reason: how much of it survived, times the weight
    of the feedback on the completion that was shown there.

    :param known: the commits that may be taken into account; holes that later ones removed count
        as surviving.
    """
    ids = [hole.id for hole in holes]
    fates, said = load_survival(db, ids), feedback_weights(db, ids)
    found = {}
    for hole in holes:
        survival = fates.get(hole.id)
        died = survival.died_commit if survival is not None else None
        if died is not None and known is not None and died not in known:
            survival = Survival(1.0, None, None)
        value, why = weight(hole, survival)
        if hole.id in said:
            value, why = value * said[hole.id], f"{why}; x{said[hole.id]:g} by feedback"
        found[hole] = value, why
    return found


def trainable_holes(repo: GitRepository, holes: Sequence[Hole]) -> list[Hole]:
    """The ``holes`` in files that HEAD's rules do not exclude: holes may have been mined before
    the rules existed."""
    paths = list(dict.fromkeys(hole.path for hole in holes))
    out = rules.exclusion_reasons(repo, repo.head_tree_or_empty(), paths) if paths else {}
    return [hole for hole in holes if hole.path not in out]


def is_forgotten(forgotten: Forgotten, hole: Hole) -> bool:
    """Whether a hole's path, commit or author is forgotten."""
    return (
        forgotten.covers_path(hole.path)
        or forgotten.covers_commit(hole.commit)
        or (bool(hole.author) and forgotten.covers_author(hole.author))
    )


def shown_files(repo: GitRepository, db: Database, commit: str) -> Callable[[str], bool]:
    """A test of paths: whether the file in ``commit``'s tree may be shown. It is not forgotten,
    and no forgotten commit or author ever touched it, whatever lines they wrote."""
    forgotten = Forgotten.load(db)
    touched: frozenset[str] = frozenset()
    if forgotten.commits or forgotten.authors:
        oids = [
            c.oid
            for c in list_commits(repo, commit)
            if forgotten.covers_commit(c.oid) or forgotten.covers_author(author_identity(c))
        ]
        touched = _touched(repo, oids)
    return lambda path: path not in touched and not forgotten.covers_path(path)


def _touched(repo: GitRepository, commits: Sequence[str]) -> frozenset[str]:
    feed = "".join(f"{oid}\n" for oid in commits).encode()
    out = repo.run(
        "diff-tree", "--stdin", "-r", "-m", "--root", "--no-commit-id", "--name-only",
        "--no-renames", "-z", stdin=feed,
    )  # fmt: skip
    return frozenset(os.fsdecode(path) for path in out.split(b"\0") if path)


def tree_holes(
    repo: GitRepository, db: Database, commit: str, *, characters: int | None = None
) -> Iterator[Hole]:
    """The holes of ``commit``'s tree, one at the end of each passage, with its time, in files that
    may be shown; those that were changed last come first.

    :param characters: return sequences of this length instead.
    """
    may_show = shown_files(repo, db, commit)
    time = int(repo.run("log", "-1", "--no-show-signature", "--format=%at", commit, "--") or 0)
    holes = trainable_holes(
        repo, list(snapshot_windows(repo, commit, time=time, characters=characters))
    )
    changed = _changed_last(repo, commit)
    holes.sort(key=lambda hole: changed.get(hole.path, len(changed)))
    return (hole for hole in holes if may_show(hole.path))


def _changed_last(repo: GitRepository, commit: str) -> dict[str, int]:
    """The rank of the files that the newest commits of a history changed, the last one first."""
    out = repo.run(
        "log", f"--max-count={RECENT_COMMITS}", "--no-show-signature", "--format=", "--name-only",
        "--no-renames", "-z", commit, "--",
    )  # fmt: skip
    paths = dict.fromkeys(os.fsdecode(path.lstrip(b"\n")) for path in out.split(b"\0") if path)
    return {path: rank for rank, path in enumerate(paths)}


def _apart(holes: Iterable[Hole], written: Iterable[Hole]) -> Iterator[Hole]:
    """The ``holes`` that overlap none of those ``written`` by commits."""
    taken: dict[tuple[str, str], list[Hole]] = {}
    for hole in written:
        taken.setdefault((hole.path, hole.blob), []).append(hole)
    for hole in holes:
        others = taken.get((hole.path, hole.blob), ())
        if all(hole.end <= other.start or other.end <= hole.start for other in others):
            yield hole


def balanced(weights: Mapping[Hole, float]) -> dict[Hole, float]:
    """The weights, those of tests scaled down to the sum of those of the code."""
    sums = {True: 0.0, False: 0.0}
    for hole, value in weights.items():
        sums[is_test(hole.path)] += value
    scale = min(1.0, sums[False] / sums[True]) if sums[False] and sums[True] else 1.0
    return {h: value * scale if is_test(h.path) else value for h, value in weights.items()}


def is_snapshot(hole: Hole) -> bool:
    """Whether a hole was cut from a tree: commits have authors."""
    return not hole.author


def at_fim_rate(cuts: Sequence[Cut], seed: int, rate: float = FIM_RATE) -> list[Cut]:
    """Remove the suffix from all but ``rate`` of the cuts of a tree, so that the prompt builder
    renders them left to right. Cuts of commits keep theirs: there people filled in.

    Prefix and suffix keep the order that the model's family was trained with.
    """
    return [
        replace(cut, suffix="") if is_snapshot(cut.hole) and _draw(cut.hole, seed) >= rate else cut
        for cut in cuts
    ]


def _draw(hole: Hole, seed: int) -> float:
    return seeded_random("fim", str(seed), hole.blob, hole.path, str(hole.start)).random()


def before_held_out(
    repo: GitRepository, commits: Sequence[str], held_out: Sequence[Hole]
) -> tuple[list[str], str | None]:
    """The commits older than every held-out one, newest first, and the first parent of the
    oldest held-out commit, whose tree may be trained on (``None``: there is none).

    :param commits: of HEAD's history, newest first, no parent before its child.
    :param held_out: some holes of them.
    """
    places = {oid: i for i, oid in enumerate(commits)}
    last = max((places[hole.commit] for hole in held_out), default=-1)
    cut = repo.resolve(f"{commits[last]}^") if last >= 0 else next(iter(commits), None)
    return list(commits[last + 1 :]), cut
