"""How well search finds what a cursor needs, at the time it was needed.

python bench/retrieval.py [--quick] [--json] [--repo PATH]... [--embedder NAME_OR_FOLDER]...
                          [--dense-weight X]... [--limit N] [--cache FOLDER] [--rows FILE]

Holes come from the newest commits; the index is the tree of their commit's parent, and the query
is the one that completion makes of the text around the hole. What counts as found is in gold.py:
``met@n`` is the share of the names needed from other files that the first n snippets show,
``defined@n`` the share of those with a definition elsewhere whose definition is among them, and
``mrr`` one over the rank of the first gold chunk (over at most 10). All arms drop what is in view
and near duplicates, as completion does; they are in rankings.py.

``fused -`` is the difference of the first fused arm to an arm in points of ``met``, with a 95%
interval from resampled commits.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import about
import click
from gold import COUNTS, needs, score, wanted_names
from rankings import Row, difference, mean, rankings

from git_copilot.assistant.dataset.cuts import Cut, read_cuts
from git_copilot.assistant.dataset.examples import parent_trees
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.index.core.errors import DatabaseError
from git_copilot.index.core.types import Embedder, Hole
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.embedding.embedders import load_embedder
from git_copilot.index.embedding.vectors import load_vectors
from git_copilot.index.git.history import list_commits
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.cochange import CoChange
from git_copilot.index.search.retriever import Searcher
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.database_files import remove_database
from git_copilot.index.sync.sync import sync

VIEW = "bench"
HOLES, QUICK_HOLES = 300, 60
# Holes of one commit are alike: few of each, so that many commits are seen.
HOLES_PER_COMMIT = 3
MINED_COMMITS = 5000
DEFAULT_EMBEDDER = "copilot-embed-v1"


def open_embedder(name: str) -> Embedder:
    """An embedder by its name or its folder. A folder's content is part of its name: vectors
    of other weights must not be taken for its own."""
    folder = Path(name)
    if not folder.is_dir():
        return load_embedder(name, resolve_model(name))
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    return load_embedder(f"{folder.name}-{digest.hexdigest()[:8]}", folder)


def open_database(folder: Path) -> Database:
    """The database in ``folder``, made anew when it is of another version."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return Database(folder / DATABASE_NAME, create=True)
    except DatabaseError:
        remove_database(folder / DATABASE_NAME)
        return Database(folder / DATABASE_NAME, create=True)


def wanting(repo: GitRepository, db: Database) -> Iterator[tuple[str, list[tuple[Cut, list[str]]]]]:
    """Commits, newest first: the tree of the parent, and the commit's holes that want names which
    are not in view."""
    tip = repo.head_commit()
    commits = [c.oid for c in list_commits(repo, tip, limit=MINED_COMMITS)] if tip else []
    by_commit: dict[str, list[Hole]] = {}
    for hole in load_holes(db, commits):
        by_commit.setdefault(hole.commit, []).append(hole)
    trees = parent_trees(repo, list(by_commit))
    for oid, holes in by_commit.items():
        tree = trees.get(oid)
        if tree is None:
            continue
        seeded_random("bench", oid).shuffle(holes)
        cuts = ((cut, wanted_names(cut)) for cut in read_cuts(repo, holes))
        found = [(cut, names) for cut, names in cuts if names]
        if found:
            yield tree, found


def measure(
    path: Path,
    embedders: Sequence[Embedder],
    limit: int,
    cache: Path,
    weights: Sequence[float] = (),
) -> tuple[str, list[Row]]:
    """Search for up to ``limit`` cross-file holes of the newest commits of one repository.

    :return: its name, and a row for each hole.
    """
    repo = GitRepository.discover(path)
    # Bare clones may all be called alike.
    place = hashlib.sha256(str(repo.common_dir).encode()).hexdigest()[:8]
    rows: list[Row] = []
    together = CoChange(repo)
    with open_database(cache / f"{repo.name}-{place}") as db:
        mine(repo, db, limit=MINED_COMMITS)
        for embedder in embedders:
            (cache / embedder.name).mkdir(exist_ok=True)
        searchers: list[tuple[Searcher, Embedder | None]] = []
        for tree, cuts in wanting(repo, db):
            for embedder in embedders or [None]:
                sync(repo, db, embedder, view=VIEW, tree=tree)
            if not searchers:
                searchers = [
                    (Searcher(db, VIEW, load_vectors(db, cache / e.name, e)), e) for e in embedders
                ] or [(Searcher(db, VIEW, None), None)]
            taken = 0
            for cut, names in cuts:
                if taken == HOLES_PER_COMMIT or len(rows) == limit:
                    break
                found = needs(db, VIEW, cut, names)
                if found:
                    partners = together.partners(f"{cut.hole.commit}^", cut.hole.path)
                    ranked, seconds = rankings(cut, searchers, partners, weights)
                    figures = {arm: score(found, hits) for arm, hits in ranked.items()}
                    rows.append(Row(cut, found, figures, ranked, seconds))
                    taken += 1
            _progress(f"{path}: {len(rows)} of {limit} holes")
            if len(rows) == limit:
                break
    _progress("")
    return about.name_of(path, repo), rows


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", err=True, nl=False)


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over ``rows`` for each arm, and what the first fused arm is better by."""
    found: dict[str, Any] = {}
    names = list(rows[0].figures) if rows else []
    reference = next((name for name in names if name.startswith("fused")), "")
    for arm in names:
        keys = [*(f"met@{n}" for n in COUNTS), *(f"defined@{n}" for n in COUNTS), "mrr"]
        found[arm] = {key: mean(rows, arm, key) for key in keys}
        for n in COUNTS:
            found[arm][f"fused_minus@{n}"] = difference(rows, arm, reference, f"met@{n}")
    times = sorted(1000 * row.seconds for row in rows)
    return {
        "holes": len(rows),
        "commits": len({row.cut.hole.commit for row in rows}),
        "names": sum(len(row.needs) for row in rows),
        "search_ms": {
            "p50": round(times[len(times) // 2], 1),
            "p95": round(times[len(times) * 95 // 100], 1),
        }
        if times
        else {},
        "arms": found,
    }


def table(name: str, found: dict[str, Any]) -> str:
    """The figures of one repository for a person."""
    lines = [
        f"{name}: {found['holes']} holes of {found['commits']} commits, {found['names']} names;"
        f" search p50 {found['search_ms'].get('p50')} ms, p95 {found['search_ms'].get('p95')} ms",
        f"{'':<34}" + "".join(f"{f'met@{n}':>8}" for n in COUNTS)
        + "".join(f"{f'def@{n}':>8}" for n in COUNTS) + f"{'mrr':>7}"
        + "".join(f"  {f'fused - (@{n})':<21}" for n in COUNTS),
    ]  # fmt: skip
    for arm, row in found["arms"].items():
        keys = [*(f"met@{n}" for n in COUNTS), *(f"defined@{n}" for n in COUNTS)]
        gaps = (row[f"fused_minus@{n}"] for n in COUNTS)
        lines.append(
            f"{arm:<34}"
            + "".join(f"{100 * row[key]:8.1f}" for key in keys)
            + f"{row['mrr']:7.3f}"
            + "".join(
                f"  {f'{g[0]:+5.1f} [{g[1]:+.1f}, {g[2]:+.1f}]':<21}" if g else " " * 23
                for g in gaps
            )
        )
    return "\n".join(lines)


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    """One line of JSON a hole: what it is, what it needs, and what each arm found."""
    with file.open("w", encoding="utf-8") as out:
        for row in rows:
            hole = row.cut.hole
            fact = {
                "commit": hole.commit, "path": hole.path, "kind": hole.kind,
                "before": row.cut.prefix[-1500:], "middle": row.cut.middle,
                "after": row.cut.suffix[:600],
                "needs": {n.name: [len(n.defined), len(n.used)] for n in row.needs},
                "arms": {
                    arm: [
                        f"{h.path}:{h.start_line} {'+'.join(h.sources)}"
                        f" {[n.name for n in row.needs if h.chunk_id in n.gold]}"
                        for h in hits
                    ]
                    for arm, hits in row.ranked.items()
                },
                "figures": row.figures,
            }  # fmt: skip
            out.write(json.dumps(fact) + "\n")


@click.command()
@click.option(
    "--repo", type=click.Path(path_type=Path, exists=True), multiple=True, default=(Path(),)
)
@click.option(
    "--embedder", multiple=True, default=(DEFAULT_EMBEDDER,), help="A name, a folder, or none."
)
@click.option("--dense-weight", type=float, multiple=True, help="Another weight to try.")
@click.option("--limit", type=click.IntRange(1), help=f"Holes a repository (default: {HOLES}).")
@click.option("--quick", is_flag=True, help=f"{QUICK_HOLES} holes a repository.")
@click.option("--cache", type=click.Path(path_type=Path), help="Keep indexes here for next time.")
@click.option("--rows", type=click.Path(path_type=Path), help="Write every hole to this file.")
@click.option("--json", "as_json", is_flag=True)
def main(
    repo: tuple[Path, ...],
    embedder: tuple[str, ...],
    dense_weight: tuple[float, ...],
    limit: int | None,
    quick: bool,
    cache: Path | None,
    rows: Path | None,
    as_json: bool,
) -> None:
    """Measure what search finds of what holes of later commits need."""
    begun = time.monotonic()
    embedders = [open_embedder(name) for name in embedder if name != "none"]
    count = limit or (QUICK_HOLES if quick else HOLES)
    with tempfile.TemporaryDirectory() as passing:
        found = dict(
            measure(path, embedders, count, cache or Path(passing), dense_weight) for path in repo
        )
    together = [row for each in found.values() for row in each]
    results = {name: figures(each) for name, each in found.items()}
    if len(found) > 1:
        results["all"] = figures(together)
    if rows is not None:
        write_rows(rows, together)
    if as_json:
        facts = {
            "bench": "retrieval",
            "commit": about.output("git", "rev-parse", "HEAD"),
            "machine": about.machine(),
            "embedders": [e.name for e in embedders],
            "seconds": round(time.monotonic() - begun, 1),
            "repositories": results,
        }
        click.echo(json.dumps(facts, indent=1))
        return
    for name, each in results.items():
        click.echo(table(name, each) + "\n")


if __name__ == "__main__":
    main()
