"""What the hooks add to ``git commit``: ``python bench/hooks.py [--quick] [--json] [--repo PATH]``.

Empty commits in a temporary clone (or a small repository), with captured output as an editor
runs git, the alternatives taking turns so that the machine's mood hits all alike. The native
shim runs the real interpreter and the real worker module; between commits its worker is
waited for, so that "starts a worker" starts one each time. What pre-commit itself costs is what
it takes with a hook that does nothing (`true`) in the same stage. At the end a rebase of 30
commits, which fires post-commit 30 times while the first worker is still starting.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from about import machine, output

from git_copilot.hooks.install import install
from git_copilot.hooks.launch import WORKER_MODULE, stop_worker
from git_copilot.hooks.lock import read_pid, worker_alive
from git_copilot.index.git.repository import GitRepository

ROOT = Path(__file__).resolve().parent.parent
HOLD_LOCK = (
    "import os, sys, time; from pathlib import Path; from git_copilot.hooks.lock import WorkerLock\n"
    "os.chdir(sys.argv[1]); lock = WorkerLock.acquire(Path('.').absolute())\n"
    "with lock: sys.stdin.read()\n"
)
PRE_COMMIT_CONFIG = """repos:
- repo: local
  hooks:
  - {{id: {id}, name: {id}, language: system, entry: '{entry}', always_run: true,
     pass_filenames: false, require_serial: true, stages: [{stage}]}}
"""
NOTHING_HERE = "pre-commit, nothing in this stage"
FRAMEWORK = "pre-commit, a hook that does nothing"
OURS = "pre-commit, copilot-sync"
OURS_ALIVE = "pre-commit, copilot-sync, worker alive"
REBASED = 30  # commits


@dataclass(frozen=True)
class Alternative:
    """A hooks folder, and what must be so before each commit."""

    name: str
    hooks: Path
    alive: bool = False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="30 commits each instead of 60")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repo", type=Path, help="measure in a clone of this repository")
    options = parser.parse_args()
    os.environ.setdefault("GIT_AUTHOR_NAME", "bench")
    os.environ.setdefault("GIT_AUTHOR_EMAIL", "bench@example.org")
    os.environ.setdefault("GIT_COMMITTER_NAME", "bench")
    os.environ.setdefault("GIT_COMMITTER_EMAIL", "bench@example.org")
    with tempfile.TemporaryDirectory(prefix="bench-hooks-") as temporary:
        result = measure(Path(temporary), options.repo, 30 if options.quick else 60)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        show(result)
    return 0


def measure(folder: Path, source: Path | None, rounds: int) -> dict[str, object]:
    """All alternatives, ``rounds`` commits each."""
    tree = prepare(folder, source)
    repo = GitRepository.discover(tree)
    alternatives, notes = build(folder, repo)
    times: dict[str, list[float]] = {alternative.name: [] for alternative in alternatives}
    for turn in range(rounds + 2):  # the first two warm the caches
        for alternative in (
            alternatives[turn % len(alternatives) :] + alternatives[: turn % len(alternatives)]
        ):
            with holding(repo.state_dir) if alternative.alive else idle(repo.state_dir):
                elapsed = commit(tree, alternative.hooks)
            if turn >= 2:
                times[alternative.name].append(elapsed)
    base = statistics.median(times["no hook"])
    rebases = rebase(tree, repo.state_dir, alternatives, 3 if rounds < 60 else 9)
    figures = {
        name: {
            "median_ms": round(statistics.median(values), 2),
            "p90_ms": round(statistics.quantiles(values, n=10)[-1], 2),
            "added_ms": round(statistics.median(values) - base, 2),
        }
        for name, values in times.items()
    }
    return {
        "bench": "hooks",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "repository": str(source or "temporary"),
        "commits_each": rounds,
        "alternatives": figures,
        "added_over_framework_ms": {
            name: paired(times[name], times[FRAMEWORK])
            for name in (OURS, OURS_ALIVE)
            if name in figures
        },
        "rebase": rebases,
        "notes": notes,
    }


def paired(ours: list[float], theirs: list[float]) -> float:
    """Median of the differences turn by turn: both commits of a turn met the same mood.

    The framework's own time wanders by tens of milliseconds, so that two medians taken apart
    differ by more than what is measured here.
    """
    return round(statistics.median(a - b for a, b in zip(ours, theirs, strict=True)), 2)


def prepare(folder: Path, source: Path | None) -> Path:
    tree = folder / "tree"
    if source is None:
        subprocess.run(["git", "init", "-q", str(tree)], check=True)
        (tree / "a.py").write_text("print()\n")
        subprocess.run(["git", "add", "a.py"], cwd=tree, check=True)
        subprocess.run(["git", "commit", "-q", "-m", "first"], cwd=tree, check=True)
    else:
        subprocess.run(["git", "clone", "-q", "--shared", str(source), str(tree)], check=True)
    return tree


def build(folder: Path, repo: GitRepository) -> tuple[list[Alternative], list[str]]:
    """One hooks folder per alternative, each holding what its tool really installs."""
    notes = []
    if importlib.util.find_spec("git_copilot.assistant") is None or not worker_module_runs():
        notes.append(f"{WORKER_MODULE} cannot be imported by {sys.executable}: it starts and dies")
    none, empty, native = folder / "none", folder / "empty", folder / "native"
    none.mkdir()
    put(empty / "post-commit", b"#!/bin/sh\n")
    install(repo, sys.executable)
    put(native / "post-commit", (repo.common_dir / "hooks/post-commit").read_bytes())
    alternatives = [
        Alternative("no hook", none),
        Alternative("empty sh hook", empty),
        Alternative("native, worker alive", native, alive=True),
        Alternative("native, starts a worker", native),
    ]
    if importlib.util.find_spec("pre_commit") is None:
        notes.append("pre-commit is not installed: not measured")
        return alternatives, notes
    hook = repo.common_dir / "hooks/post-commit"
    for name, entry, stage, alive in (
        (NOTHING_HERE, "true", "post-merge", False),
        (FRAMEWORK, "true", "post-commit", False),
        (OURS, str(ROOT / "hooks/git-copilot-hook"), "post-commit", False),
        (OURS_ALIVE, str(ROOT / "hooks/git-copilot-hook"), "post-commit", True),
    ):
        place = folder / name.replace(" ", "-").replace(",", "")
        config = place.with_suffix(".yaml")
        config.write_text(PRE_COMMIT_CONFIG.format(id="measured", entry=entry, stage=stage))
        hook.unlink()
        subprocess.run(
            [sys.executable, "-m", "pre_commit", "install", "-t", "post-commit", "-c", str(config)],
            cwd=repo.root, check=True, capture_output=True,
        )  # fmt: skip
        put(place / "post-commit", hook.read_bytes())
        alternatives.append(Alternative(name, place, alive))
    return alternatives, notes


def rebase(
    tree: Path, state_dir: Path, alternatives: list[Alternative], rounds: int
) -> dict[str, dict[str, float]]:
    """Median seconds of a rebase, without hooks and with the shim."""
    git = ["git", "-c", "core.hooksPath=/dev/null"]

    def quietly(*command: str) -> None:
        subprocess.run(command, cwd=tree, check=True, capture_output=True)

    quietly(*git, "switch", "-q", "-c", "topic")
    for number in range(REBASED):
        (tree / f"bench-{number}.txt").write_text("x")
        quietly(*git, "add", f"bench-{number}.txt")
        quietly(*git, "commit", "-q", "-m", str(number))
    quietly(*git, "branch", "tip")
    quietly(*git, "switch", "-q", "-c", "onto", f"HEAD~{REBASED}")
    quietly(*git, "commit", "-q", "--allow-empty", "-m", "onto")
    times: dict[str, list[float]] = {"no hook": [], "native, starts a worker": []}
    for _ in range(rounds):
        for alternative in (a for a in alternatives if a.name in times):
            quietly(*git, "switch", "-q", "topic")
            quietly(*git, "reset", "-q", "--hard", "tip")
            with idle(state_dir):
                begun = time.perf_counter()
                quietly("git", "-c", f"core.hooksPath={alternative.hooks}", "rebase", "-q", "onto")
                times[alternative.name].append(time.perf_counter() - begun)
    return {
        name: {"commits": REBASED, "median_s": round(statistics.median(values), 3)}
        for name, values in times.items()
    }


def worker_module_runs() -> bool:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    check = (
        f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{WORKER_MODULE}') is None)"
    )
    return subprocess.run([sys.executable, "-P", "-c", check], env=env, check=False).returncode == 0


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)


def commit(tree: Path, hooks: Path) -> float:
    """Milliseconds of one commit, until git has exited and its output has ended."""
    command = ["git", "-c", f"core.hooksPath={hooks}", "commit", "-q", "--allow-empty", "-m", "x"]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=tree, capture_output=True, check=False)
    elapsed = (time.perf_counter() - begun) * 1000
    if done.returncode:
        raise SystemExit(f"git commit failed: {done.stderr.decode()}")
    return elapsed


@contextmanager
def holding(state_dir: Path) -> Iterator[None]:
    """A worker that is alive and idle: a process with the lock, the pid file and the folder."""
    with idle(state_dir):
        command = [sys.executable, "-c", HOLD_LOCK, str(state_dir)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        wait(lambda: worker_alive(state_dir) == process.pid and read_pid(state_dir))
        try:
            yield
        finally:
            process.communicate()


@contextmanager
def idle(state_dir: Path) -> Iterator[None]:
    """No worker before, and none left running into the next measurement."""
    stop_worker(state_dir)
    yield
    # A started interpreter needs a moment until it holds the lock (or has failed to import).
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and interpreters(state_dir):
        stop_worker(state_dir)
        time.sleep(0.02)
    (state_dir / "spool/events").unlink(missing_ok=True)


def interpreters(state_dir: Path) -> bool:
    """Whether a worker process of this repository exists, locked or still starting."""
    needle = f"{WORKER_MODULE}\0{state_dir}".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if needle in path.read_bytes():
                return True
        except OSError:
            continue
    return worker_alive(state_dir) is not None


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("the worker did not start")
        time.sleep(0.005)


def show(result: dict[str, object]) -> None:
    figures = result["alternatives"]
    assert isinstance(figures, dict)
    print(f"git commit, {result['commits_each']} times each, {result['machine']}")
    print(f"{'alternative':42}{'median':>9}{'p90':>9}{'added':>9}   (ms)")
    for name, row in figures.items():
        print(f"{name:42}{row['median_ms']:9.1f}{row['p90_ms']:9.1f}{row['added_ms']:9.1f}")
    over, rebases = result["added_over_framework_ms"], result["rebase"]
    assert isinstance(over, dict) and isinstance(rebases, dict)
    for name, added in over.items():
        print(f"{name}: {added:.1f} ms over what the framework itself costs")
    for name, row in rebases.items():
        print(f"rebase of {row['commits']} commits, {name}: {row['median_s']:.2f} s")
    notes = result["notes"]
    assert isinstance(notes, list)
    for note in notes:
        print(note)


if __name__ == "__main__":
    sys.exit(main())
