"""How fast the corpus is mined, beside the floor: `git log -p -U0` of the same commits.

python bench/mine.py --repo PATH… [--limit N] [--json]
"""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import about
import click

from git_copilot.index.corpus.mining import mine
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database


def _cpu() -> float:
    """Processor seconds of this process and of the git processes that it waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def _timed(job: Callable[[], object]) -> tuple[object, dict[str, float]]:
    wall, cpu = time.perf_counter(), _cpu()
    result = job()
    seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": _cpu() - cpu}
    return result, {key: round(value, 2) for key, value in seconds.items()}


def measure(path: Path, limit: int) -> dict[str, object]:
    """Mine the newest ``limit`` commits into a database of its own; then let git print them."""
    repo = GitRepository.discover(path)
    with tempfile.TemporaryDirectory() as folder:
        with Database(Path(folder) / DATABASE_NAME, create=True) as db:
            commits, ours = _timed(lambda: mine(repo, db, limit=limit))
            holes = db.scalar("SELECT count(*) FROM holes")
            left_out = db.query(
                "SELECT reason, sum(count) FROM left_out GROUP BY 1 ORDER BY 2 DESC"
            )
            statuses = db.query("SELECT status, count(*) FROM commits GROUP BY 1 ORDER BY 2 DESC")
        command = ["git", "-C", str(path), "log", "-p", "-U0", f"-{limit}"]
        _, floor = _timed(lambda: subprocess.run(command, stdout=subprocess.DEVNULL, check=True))
    return {
        "repository": repo.name,
        "commits": commits,
        "holes": holes,
        "mine": ours,
        "git_log": floor,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "commit_filters": {str(key): value for key, value in statuses},
        "left_out": {str(key): value for key, value in left_out},
    }


@click.command()
@click.option(
    "--repo", type=click.Path(path_type=Path, exists=True), multiple=True, default=(Path(),)
)
@click.option("--limit", type=click.IntRange(1), default=5000, help="The newest so many commits.")
@click.option("--quick", is_flag=True, help="The newest 300 commits.")
@click.option("--json", "as_json", is_flag=True)
def main(repo: tuple[Path, ...], limit: int, quick: bool, as_json: bool) -> None:
    """Time mining and its floor."""
    rows = [measure(path, 300 if quick else limit) for path in repo]
    facts = {
        "bench": "mine",
        "commit": about.output("git", "rev-parse", "HEAD"),
        "machine": about.machine(),
        "repositories": rows,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    for row in rows:
        click.echo(json.dumps(row))


if __name__ == "__main__":
    main()
