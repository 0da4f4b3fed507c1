"""What a user waits for: ``python bench/serve.py [--quick] [--json] [--repo PATH]
[--isa avx2]``.

In a temporary clone of a repository: `init`, warm and cold completions at places in real files,
typing there, searches, and commits until they are found. Every figure is the wall-clock time
of the installed command, process start included; below completions stands where the time went.
Whoever types has the cursor at the end of a line whose rest is not there yet: each key is the one
that stands there in the file. Cold (`--no-server`) is the alternative that takes turns with warm.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from about import machine, output
from isa import add_isa_option, limit_instructions

limit_instructions()  # the commands and the server inherit it

ROOT = Path(__file__).resolve().parent.parent
SEED = 1
KEYS = 3  # typed at each place
FEW = 64  # tokens; a prompt of which more are new is read anew
QUERIES = ("parse the configuration", "read file lines", "raise error message", "format output")


@dataclass(frozen=True, slots=True)
class Timed:
    """A completion: wall-clock milliseconds, and those of its parts as the server tells them;
    ``read`` are the tokens of the prompt that it did not know."""

    ms: float
    server: dict[str, float]
    read: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, within two minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repo", type=Path, default=ROOT, help="clone this (default: ours)")
    add_isa_option(parser)
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="bench-serve-") as temporary:
        os.environ["XDG_RUNTIME_DIR"] = temporary  # a server of its own
        result = measure(Path(temporary) / "project", options.repo, 15 if options.quick else 60)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        for name, figures in result["figures"].items():
            print(f"{name:<28}" + "  ".join(f"{k} {v:g}" for k, v in figures.items()))
    return 0


def copilot(project: Path, *args: str, stdin: str | None = None) -> tuple[float, str]:
    """Run a command; return its wall-clock milliseconds and what it printed."""
    begun = time.perf_counter()
    done = subprocess.run(
        ["git-copilot", *args], cwd=project, input=stdin, capture_output=True, text=True, check=True
    )
    return (time.perf_counter() - begun) * 1000, done.stdout


def git(project: Path, *args: str) -> None:
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    subprocess.run(["git", *identity, *args], cwd=project, check=True, capture_output=True)


def places(project: Path, count: int) -> list[tuple[str, int, int]]:
    """(path, line, column) in the middle of lines of Python files, the same each time."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=project, capture_output=True, text=True, check=True
    )
    rng = random.Random(SEED)
    found: list[tuple[str, int, int]] = []
    names = sorted(listed.stdout.split())
    while len(found) < count:
        name = rng.choice(names)
        lines = (project / name).read_text("utf-8").split("\n")
        number = rng.randrange(len(lines))
        if len(lines[number].strip()) > 20:
            found.append((name, number + 1, len(lines[number]) // 2 + 1))
    return found


def type_at(project: Path, place: tuple[str, int, int], *options: str) -> Iterator[Timed]:
    """Complete at a place, and again after each of the next keys."""
    name, number, column = place
    lines = (project / name).read_text("utf-8").split("\n")
    line = lines[number - 1]
    for end in range(column, min(column + KEYS, len(line)) + 1):
        text = "\n".join([*lines[: number - 1], line[: end - 1], *lines[number:]])
        where = f"{name}:{number}:{end}"
        ms, printed = copilot(project, "complete", where, "--json", "--stdin", *options, stdin=text)
        answer = json.loads(printed)
        read = answer["prompt_tokens"] - answer["cached_tokens"]
        yield Timed(ms, answer["timings_ms"], read)


def measure(project: Path, source: Path, rounds: int) -> dict[str, Any]:
    """All figures of one run."""
    subprocess.run(["git", "clone", "-q", str(source), str(project)], check=True)
    init_ms, printed = copilot(project, "init")
    again_ms, _ = copilot(project, "init")
    warm, typed, cold = list[Timed](), list[Timed](), list[Timed]()
    try:
        spots = places(project, rounds)
        copilot(project, "complete", f"{spots[0][0]}:{spots[0][1]}")  # loads the model
        for turn, place in enumerate(spots):
            first, *others = type_at(project, place)
            warm.append(first)
            typed += others
            if turn < rounds // 5:
                cold.append(next(type_at(project, place, "--no-server")))
        search = [copilot(project, "search", QUERIES[i % 4], "--json")[0] for i in range(rounds)]
        few = max(5, rounds // 5)
        found = [commit_until_found(project, i) for i in range(few)]
        indexed = [commit_until_indexed(project, few + i) for i in range(few)]
    finally:
        copilot(project, "serve", "--stop")
    return {
        "about": {"commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
                  "machine": machine(), "repository": source.name, "init": printed.splitlines()},
        "figures": {
            "init (models here), ms": {"once": round(init_ms), "again": round(again_ms)},
            "complete, new place, ms": spread([each.ms for each in warm]),
            "of these, new place": parts(warm),
            "complete, one more key, ms": spread([each.ms for each in typed]),
            "of these, one more key": parts(typed),
            "complete --no-server, ms": spread([each.ms for each in cold]),
            "search, ms": spread(search),
            "commit → found, ms": spread(found),
            "commit → indexed by the hook, ms": spread(indexed),
        },
    }  # fmt: skip


def parts(found: Sequence[Timed]) -> dict[str, float]:
    """The medians of what the server says of its time, and of what is left: the command's own
    process and the way to the server and back. And how many prompts were read anew, in %."""
    names = ("retrieve", "prefill", "decode")
    outside = [each.ms - each.server["total"] for each in found]
    return {
        **{name: round(statistics.median(each.server[name] for each in found)) for name in names},
        "outside": round(statistics.median(outside)),
        "read anew": round(100 * statistics.mean(each.read > FEW for each in found), 1),
    }


def commit(project: Path, number: int) -> float:
    """Commit a new file with one function; return when that began."""
    (project / f"bench_{number}.py").write_text(f"def bench_function_{number}():\n    return 1\n")
    git(project, "add", "-A")
    begun = time.perf_counter()
    git(project, "commit", "-q", "-m", "bench")
    return begun


def commit_until_found(project: Path, number: int) -> float:
    """Milliseconds from `git commit` until a search, answered by the server, found what is new."""
    begun = commit(project, number)
    _, printed = copilot(project, "search", f"bench_function_{number}", "--json")
    taken = (time.perf_counter() - begun) * 1000
    assert json.loads(printed)["hits"][0]["path"] == f"bench_{number}.py", printed
    copilot(project, "status", "--wait")
    return taken


def commit_until_indexed(project: Path, number: int) -> float:
    """Milliseconds from `git commit` until the index stands for it, told by the hook alone."""
    begun = commit(project, number)
    copilot(project, "status", "--wait")
    return (time.perf_counter() - begun) * 1000


def spread(times: list[float]) -> dict[str, float]:
    """Median, 90th percentile and number."""
    ordered = sorted(times)
    return {
        "p50": round(statistics.median(ordered)),
        "p90": round(ordered[int(0.9 * (len(ordered) - 1))]),
        "n": len(ordered),
    }


if __name__ == "__main__":
    sys.exit(main())
