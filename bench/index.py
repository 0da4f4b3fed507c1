"""How fast and how large the index is, beside what people would use instead.

python bench/index.py [--quick] [--json] [--vectors] [--repo PATH]... [--sizes N]...

For each repository: a cold build in a process of its own, a commit of one file, switching between
two trees that were seen before, and the alternatives on the same files and vectors. Then whole
searches (query to texts) and room on disk for indexes of --sizes chunks, made of the
repositories' chunks (index_corpus.py). ``--vectors`` compares kinds of FAISS indexes instead.
``cpu`` figures are the process's own and are what to read on a machine that others use.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from git_copilot.assistant.core.process import calm_threads

calm_threads()  # as the server and the worker do, before faiss is imported

import about
import click
import index_others
from index_corpus import IDENTIFIER, fill, real_files

from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.index.core.types import Embedder
from git_copilot.index.embedding.embedders import load_embedder
from git_copilot.index.embedding.vectors import SNAPSHOT_NAME, load_vectors
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (10_000,)
QUERIES, QUERY_LINES = 100, 12
ROUNDS, CHANGED_FILES, LOOK_BACK = 6, 500, 5000


def spread(values: list[float]) -> dict[str, float]:
    ranked = sorted(values)
    p50, p95 = (ranked[min(len(ranked) - 1, int(len(ranked) * p))] for p in (0.5, 0.95))
    return {"p50": round(p50, 2), "p95": round(p95, 2)}


def timed(job: Callable[[], Any]) -> tuple[Any, float, float]:
    """A job's result, and its milliseconds by the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = job()
    return result, (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


def embedder_named(name: str) -> Embedder:
    found = load_embedder(name, resolve_model(name))
    found.encode(["warm"])
    return found


def cold(path: Path, embedder: Embedder) -> dict[str, Any]:
    """Index HEAD from nothing; the memory is the process's peak."""
    repo = GitRepository.discover(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        with Database(Path(folder) / DATABASE_NAME, create=True) as db:
            report, wall, cpu = timed(lambda: sync(repo, db, embedder))
            lines = db.scalar("SELECT sum(lines) FROM blobs WHERE skipped IS NULL")
            files = db.scalar("SELECT count(*) FROM blobs WHERE skipped IS NULL")
        size = sum(p.stat().st_size for p in Path(folder).iterdir())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "files": files,
        "lines": lines,
        "chunks": report.chunks_added,
        "wall_s": round(wall / 1e3, 2),
        "cpu_s": round(cpu / 1e3, 2),
        "lines_per_s": round(lines / wall * 1e3),
        "files_per_s": round(files / wall * 1e3),
        "seconds_per_100k_lines": round(wall / lines * 100, 2),
        "peak_mb": peak >> 10,
        "peak_mb_before": before >> 10,
        "bytes_per_chunk": round(size / max(1, report.chunks_added)),
    }


def commits_and_switches(path: Path, embedder: Embedder) -> dict[str, Any]:
    """A commit of one file, and back and forth between two trees that were seen."""
    with tempfile.TemporaryDirectory() as folder:
        root = index_others.checkout(GitRepository.discover(path), Path(folder) / "clone")
        repo = GitRepository.discover(root)

        def git(*args: str) -> str:
            who = ("-c", "user.name=b", "-c", "user.email=b@example.org")
            done = subprocess.run(
                ["git", *who, *args], cwd=root, capture_output=True, text=True, check=True
            )
            return done.stdout.strip()

        with Database(Path(folder) / DATABASE_NAME, create=True) as db:
            head = git("rev-parse", "HEAD^{tree}")
            old, changed = far_tree(git)
            for tree in (old, head):
                sync(repo, db, embedder, tree=tree)
            switches = []
            for tree in (old, head) * ROUNDS:
                report, wall, cpu = timed(lambda t=tree: sync(repo, db, embedder, tree=t))
                assert report.chunks_embedded == 0
                switches.append((wall, cpu))
            target = max(root.rglob("*.py"), key=lambda p: p.stat().st_size % 40_000)
            searcher = Searcher(db, "", load_vectors(db, Path(folder), embedder))
            searcher.search(Query("warm up"), 5, embedder)
            commits, found = [], []
            for number in range(ROUNDS):
                name = f"entirely_new_{number}"
                target.write_text(f"{target.read_text()}\n\ndef {name}():\n    return {number}\n")
                git("commit", "-q", "-a", "-m", name)
                commits.append(timed(lambda: sync(repo, db, embedder))[1:])
                hits, wall, cpu = timed(lambda n=name: searcher.search(Query(n), 5, embedder))
                assert any(name in hit.text for hit in hits)
                found.append((wall, cpu))
    both = {"commit_ms": commits, "then_search_ms": found, "switch_ms": switches}
    figures: dict[str, Any] = {"changed_files": changed}
    for key, pairs in both.items():
        figures[key] = spread([wall for wall, _ in pairs])
        figures[f"{key}_cpu"] = spread([cpu for _, cpu in pairs])
    return figures


def far_tree(git: Callable[..., str]) -> tuple[str, int]:
    """The tree of the newest mainline commit that differs from HEAD in 500 files, or of the oldest
    that is looked at."""
    revisions = git("rev-list", "--first-parent", f"-{LOOK_BACK}", "HEAD").split()
    low, high = 0, len(revisions) - 1

    def differ(commit: str) -> int:
        return len(git("diff-tree", "-r", "--name-only", commit, "HEAD").splitlines())

    while low < high:
        middle = (low + high) // 2
        if differ(revisions[middle]) < CHANGED_FILES:
            low = middle + 1
        else:
            high = middle
    return git("rev-parse", f"{revisions[low]}^{{tree}}"), differ(revisions[low])


def searches(files: Any, size: int, embedder: Embedder, *, vectors: bool) -> dict[str, Any]:
    """Whole searches in an index of ``size`` chunks; or the kinds of FAISS index for it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Database(folder / DATABASE_NAME, create=True) as db:
            texts = fill(db, "", files, size, embedder)
            if vectors:
                from index_vectors import compare

                return {"size": size, "rows": compare(db, embedder.name, embedder.dimensions)}
            _, built, _ = timed(lambda: load_vectors(db, folder, embedder).save(folder, db))
            index, loaded, _ = timed(lambda: load_vectors(db, folder, embedder))
            searcher = Searcher(db, "", index)
            queries = ask(texts)
            _, first, _ = timed(lambda: searcher.search(Query(queries[0]), 10, embedder))
            runs = [
                timed(
                    lambda t=t: searcher.search(
                        Query(t, names=tuple(IDENTIFIER.findall(t))), 10, embedder
                    )
                )
                for t in queries
            ]
            chunks = db.scalar("SELECT count(*) FROM chunks")
            db.query("PRAGMA wal_checkpoint(TRUNCATE)")
        return {
            "chunks": chunks,
            "search_ms": spread([wall for _, wall, _ in runs]),
            "search_ms_cpu": spread([cpu for _, _, cpu in runs]),
            "first_search_ms": round(first, 1),
            "snapshot_built_ms": round(built),
            "snapshot_loaded_ms": round(loaded),
            "database_bytes_per_chunk": round((folder / DATABASE_NAME).stat().st_size / chunks),
            "snapshot_bytes_per_chunk": round((folder / SNAPSHOT_NAME).stat().st_size / chunks),
        }


def ask(texts: list[str]) -> list[str]:
    """Queries as a cursor makes them: the first lines of chunks."""
    rng = random.Random(7)
    return ["\n".join(rng.choice(texts).split("\n")[:QUERY_LINES]) for _ in range(QUERIES)]


def others(path: Path, model: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = index_others.checkout(GitRepository.discover(path), Path(folder) / "clone")
        texts = [
            t
            for _, _, cs in real_files([GitRepository.discover(root)])
            for t in (c.text for c in cs)
        ]
        queries = ask(texts)
        words = [max(IDENTIFIER.findall(q) or ["self"], key=len) for q in queries[:20]]
        found = {
            "plain loop": index_others.plain_loop(root, model, queries),
            "semble": index_others.semble(root, model, queries),
            "ripgrep, one word": index_others.ripgrep(root, words),
        }
    for figures in found.values():
        if isinstance(figures, dict):
            figures["search_ms"] = spread(figures["search_ms"])
            figures.update({k: round(v, 2) for k, v in figures.items() if isinstance(v, float)})
    return found


@click.command()
@click.option(
    "--repo", type=click.Path(path_type=Path, exists=True), multiple=True, default=(Path(),)
)
@click.option("--sizes", type=click.IntRange(1000), multiple=True, help="Chunks to search among.")
@click.option("--quick", is_flag=True, help="10,000 chunks only.")
@click.option("--vectors", is_flag=True, help="Compare kinds of FAISS indexes.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--cold", "only_cold", is_flag=True, hidden=True)
def main(
    repo: tuple[Path, ...], sizes: tuple[int, ...], quick: bool, vectors: bool, as_json: bool,
    only_cold: bool,
) -> None:  # fmt: skip
    """Time the index and its alternatives."""
    name = load_settings(GitRepository.discover(repo[0])).embedder
    embedder = embedder_named(name)
    if only_cold:
        click.echo(json.dumps(cold(repo[0], embedder)))
        return
    facts: dict[str, Any] = {
        "bench": "index",
        "commit": about.output("git", "rev-parse", "HEAD"),
        "machine": about.machine(),
        "embedder": name,
    }
    rows: list[tuple[str, Any]] = []
    for path in repo if not vectors else ():
        child = [sys.executable, __file__, "--cold", "--repo", str(path)]
        row = {
            "repository": path.resolve().name,
            "cold": json.loads(subprocess.run(child, capture_output=True, check=True).stdout),
            **commits_and_switches(path, embedder),
            "others": others(path, resolve_model(name)),
        }
        rows.append(("repositories", row))
    files = real_files([GitRepository.discover(path) for path in repo])
    for size in sizes or (QUICK_SIZES if quick else SIZES):
        rows.append(("sizes", searches(files, size, embedder, vectors=vectors)))
    for key, row in rows:
        facts.setdefault(key, []).append(row)
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    for _, row in rows:
        for line in row.get("rows", [row]):
            click.echo(json.dumps(line))


if __name__ == "__main__":
    main()
