"""How well `git copilot search` answers what people type.

python bench/search.py [--quick] [--json] [--repo PATH]… [--arm search|completion]… [--misses]

For each repository, at HEAD: every name that is defined once (types, functions, constants, aliases,
found without our own index) must show its definition; the first sentence of a docstring or doc
comment must show what it describes; nonsense must find nothing. ``@1`` and ``@5`` are the shares in % whose
target is first or among the first five. The arm ``completion`` ranks as completion does, which
`search` did until it had a recipe of its own.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import about
import click
from search_targets import (
    Target,
    definitions,
    documented,
    lay_out_undocumented,
    nonsense,
    unique,
)

from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.index.core.types import Embedder, Hit
from git_copilot.index.embedding.embedders import load_embedder
from git_copilot.index.embedding.vectors import load_vectors
from git_copilot.index.filters.rules import exclusion_reasons
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.code_search import CodeSearch
from git_copilot.index.search.retriever import Query
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.plan import has_content
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.classify import MAX_FILE_BYTES, skip_content
from git_copilot.index.text.terms import identifiers_from_end, terms

QUERIES, QUICK_QUERIES = 400, 60
COUNT = 10
EMBEDDER = "copilot-embed-v1"
Ask = Callable[[str], list[Hit]]


def arms(searcher: CodeSearch, embedder: Embedder) -> dict[str, Ask]:
    """What answers a query, by name."""

    def completion(text: str) -> list[Hit]:
        return searcher.search(
            Query(text, names=tuple(identifiers_from_end(text))), COUNT, embedder
        )

    return {
        "search": lambda text: searcher.search_code(text, COUNT, embedder),
        "completion": completion,
    }


def targets(
    repo: GitRepository, count: int, seed: int
) -> tuple[dict[str, list[Target]], frozenset[str]]:
    """Up to ``count`` queries of each kind, chosen at random; and every word of the repository."""
    words: set[str] = set()
    named: list[Target] = []
    described: list[Target] = []
    listed = [e for e in repo.ls_tree("HEAD") if has_content(e)]
    # Vendored and generated files are not indexed, so nothing in them can be found.
    out = exclusion_reasons(repo, repo.head_tree_or_empty(), [e.path for e in listed])
    entries = [e for e in listed if e.path not in out]
    sizes = repo.blob_sizes({e.oid for e in entries})
    small = [e for e in entries if sizes.get(e.oid, 0) <= MAX_FILE_BYTES]
    for entry, (_, data) in zip(small, repo.blobs(e.oid for e in small), strict=True):
        if skip_content(data) is not None:
            continue
        text = data.decode("utf-8", "replace")
        words.update(terms(text))
        named += definitions(entry.path, text)
        described += documented(entry.path, text)
    by_kind: dict[str, list[Target]] = {"type": [], "function": [], "value": [], "alias": []}
    for target in unique(named):
        by_kind[target.kind].append(target)
    by_kind["described"] = unique(described)
    chance = random.Random(seed)
    chosen = {k: chance.sample(f, min(count, len(f))) for k, f in by_kind.items() if f}
    return chosen, frozenset(words)


def rank(hits: Sequence[Hit], target: Target) -> int:
    """The rank of the hit that shows the target, 0: none does."""
    for number, hit in enumerate(hits, 1):
        if hit.path == target.path and hit.start_line <= target.line <= hit.end_line:
            return number
    return 0


def measure(
    path: Path, embedder: Embedder, count: int, wanted: Sequence[str], *, misses: bool
) -> tuple[str, dict[str, Any]]:
    """Index HEAD into a database of its own and ask; then the same without docstrings."""
    repo = GitRepository.discover(path)
    seed = 7
    asked, known = targets(repo, count, seed)
    gibberish = nonsense(min(count, 100), random.Random(seed), known)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        found["chunks"], answers = _indexed(repo, embedder, Path(folder), wanted)
        for name, ask in answers.items():
            found[name] = judge(ask, asked, gibberish, misses=misses)
    if any(target.path.endswith(".py") for target in asked.get("described", ())):
        described = {"undescribed": asked["described"]}
        with tempfile.TemporaryDirectory() as tree, tempfile.TemporaryDirectory() as folder:
            bare = lay_out_undocumented(repo, Path(tree))
            _, answers = _indexed(bare, embedder, Path(folder), wanted)
            for name, ask in answers.items():
                found[name]["undescribed"] = judge(ask, described, [], misses=False)["undescribed"]
    return about.name_of(path, repo), found


def _indexed(
    repo: GitRepository, embedder: Embedder, folder: Path, wanted: Sequence[str]
) -> tuple[int, dict[str, Ask]]:
    """An index of HEAD: its chunks, and the arms that ask it."""
    db = Database(folder / DATABASE_NAME, create=True)
    sync(repo, db, embedder)
    searcher = CodeSearch(db, repo.view_name, load_vectors(db, folder, embedder))
    answers = {name: ask for name, ask in arms(searcher, embedder).items() if name in wanted}
    for ask in answers.values():
        ask("warm up")
    return db.scalar("SELECT count(*) FROM chunks"), answers


def judge(
    ask: Ask, asked: dict[str, list[Target]], gibberish: Sequence[str], *, misses: bool
) -> dict[str, Any]:
    """The figures of one arm."""
    figures: dict[str, Any] = {}
    times: list[float] = []

    def timed(query: str) -> list[Hit]:
        begun = time.perf_counter()
        hits = ask(query)
        times.append(1000 * (time.perf_counter() - begun))
        return hits

    for kind, each in asked.items():
        ranks = []
        for target in each:
            hits = timed(target.query)
            ranks.append(rank(hits, target))
            if misses and ranks[-1] != 1:
                first = f"{hits[0].path}:{hits[0].start_line}" if hits else "nothing"
                told = (
                    f"{kind} {target.query!r} {target.path}:{target.line} is {ranks[-1]}; {first}"
                )
                click.echo(told, err=True)
        figures[kind] = {
            "queries": len(ranks),
            "@1": round(100 * sum(r == 1 for r in ranks) / len(ranks), 1),
            "@5": round(100 * sum(0 < r <= 5 for r in ranks) / len(ranks), 1),
        }
    empty = [query for query in gibberish if not timed(query)]
    if gibberish:
        figures["nothing_found"] = round(100 * len(empty) / len(gibberish), 1)
    times.sort()
    figures["ms"] = {"p50": _part(times, 50), "p95": _part(times, 95)}
    return figures


def _part(times: Sequence[float], percent: int) -> float:
    return round(times[min(len(times) - 1, len(times) * percent // 100)], 1)


def table(results: dict[str, dict[str, Any]]) -> str:
    """The figures for a person."""
    kinds = ("type", "function", "value", "alias", "described", "undescribed")
    head = (
        f"{'':<26}"
        + "".join(f"{k + ' @1 / @5':>20}" for k in kinds)
        + f"{'nonsense':>10}  ms p50/p95"
    )
    lines = [head]
    for name, found in results.items():
        for arm in ("completion", "search"):
            if arm not in found:
                continue
            row = found[arm]
            cells = [f"{row[k]['@1']:.1f} / {row[k]['@5']:.1f}" if k in row else "" for k in kinds]
            lines.append(
                f"{name + ', ' + arm:<26}" + "".join(f"{c:>20}" for c in cells)
                + f"{row['nothing_found']:>10.1f}  {row['ms']['p50']} / {row['ms']['p95']}"
            )  # fmt: skip
    return "\n".join(lines)


@click.command()
@click.option(
    "--repo", type=click.Path(path_type=Path, exists=True), multiple=True, default=(Path(),)
)
@click.option("--arm", type=click.Choice(["search", "completion"]), multiple=True)
@click.option("--limit", type=click.IntRange(1), help=f"Queries of a kind (default: {QUERIES}).")
@click.option("--quick", is_flag=True, help=f"{QUICK_QUERIES} queries of a kind.")
@click.option("--misses", is_flag=True, help="Print every query whose target is not first.")
@click.option("--json", "as_json", is_flag=True)
def main(
    repo: tuple[Path, ...],
    arm: tuple[str, ...],
    limit: int | None,
    quick: bool,
    misses: bool,
    as_json: bool,
) -> None:
    """Measure what is found of what people type."""
    embedder = load_embedder(EMBEDDER, resolve_model(EMBEDDER))
    count = limit or (QUICK_QUERIES if quick else QUERIES)
    wanted = arm or ("completion", "search")
    results = dict(measure(path, embedder, count, wanted, misses=misses) for path in repo)
    if as_json:
        facts = {
            "bench": "search",
            "commit": about.output("git", "rev-parse", "HEAD"),
            "machine": about.machine(),
            "embedder": embedder.name,
            "repositories": results,
        }
        click.echo(json.dumps(facts, indent=1))
        return
    click.echo(table(results))


if __name__ == "__main__":
    main()
