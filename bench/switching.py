"""Adapters of several repositories in one server: ``python bench/switching.py [--quick] [--json]
[--repo PATH]... [--isa avx2]``.

Each repository is cloned and gets an adapter of small random weights, which changes what is written. The
same places are completed by sessions that know one repository each, one after the other, and then by one
session that changes the repository at every request. Told are the median milliseconds of both, of the
first request to each repository, the resident memory that each adapter adds, and how many outputs
differ, which should be none.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from about import machine, output
from isa import add_isa_option, limit_instructions

from git_copilot.assistant.core.process import calm_threads

limit_instructions()
calm_threads()  # both before torch is imported

ROOT = Path(__file__).resolve().parent.parent
RANK, SPREAD = 16, 0.02  # of the random adapters; the spread is that of trained ones


@dataclass(frozen=True, slots=True)
class Answered:
    """What was written, in how many milliseconds, and with which adapter."""

    text: str
    ms: float
    adapter: str | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few places")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--repo", type=Path, action="append", help="clone these (default: ours twice)"
    )
    parser.add_argument("--places", type=int, default=20, help="in each repository (20)")
    add_isa_option(parser)
    options = parser.parse_args()
    count = 4 if options.quick else options.places
    with tempfile.TemporaryDirectory(prefix="bench-switching-") as temporary:
        repos = options.repo or [ROOT, ROOT]
        clones = [prepare(Path(temporary) / str(i), repo, i) for i, repo in enumerate(repos)]
        result = measure(clones, [places(clone, count) for clone in clones])
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


def prepare(folder: Path, repo: Path, seed: int) -> Path:
    """A clone that git-copilot knows, with an adapter in use."""
    subprocess.run(["git", "clone", "-q", str(repo), str(folder)], check=True)
    for name in ("latencyMs", "timeLimitMs"):  # limits would make the text depend on the load
        subprocess.run(["git", "config", f"copilot.{name}", "0"], cwd=folder, check=True)
    command = [sys.executable, "-P", "-m", "git_copilot.assistant.entry", "init", "--no-hooks"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    add_random_adapter(folder / ".git" / "copilot", seed)
    return folder


def add_random_adapter(state: Path, seed: int) -> None:
    """Put an adapter of random weights in use."""
    import torch

    from git_copilot.assistant.adapters import adapter_store
    from git_copilot.assistant.backend.loading import load_model
    from git_copilot.assistant.core.config import Settings
    from git_copilot.assistant.models.catalogue import resolve_model
    from git_copilot.assistant.training.lora import add_adapter, save_adapter

    model = Settings().model
    wrapped = add_adapter(load_model(resolve_model(model), dtype=torch.float32), RANK, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, weights in wrapped.named_parameters():
        if "lora_" in name:
            weights.data = torch.randn(weights.shape, generator=generator) * SPREAD
    identity = adapter_store.new_id()
    adapter_store.create(
        state, identity, lambda folder: save_adapter(wrapped, folder, model), {"base_model": model}
    )
    adapter_store.use(state, identity)


def places(clone: Path, count: int) -> list[str]:
    """Ends of lines with text, in Python files, the same on every machine."""
    rng = random.Random(0)
    files = sorted(path for path in clone.rglob("*.py") if ".git" not in path.parts)
    found = []
    while len(found) < count:
        path = rng.choice(files)
        lines = path.read_text("utf-8", "replace").splitlines()
        numbers = [n for n, line in enumerate(lines, 1) if line.strip() and n > 5]
        if numbers:
            found.append(f"{path.relative_to(clone)}:{rng.choice(numbers)}")
    return found


def measure(clones: Sequence[Path], asked: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Complete everywhere, repository by repository and then in turns."""
    from git_copilot.assistant.completion.session import Session

    alone = []
    for clone, locations in zip(clones, asked, strict=True):
        session = Session()
        ask(session, clone, locations[0])  # loads
        alone.append([ask(session, clone, location) for location in locations])
        session.close()
    session, memory, first = Session(), [resident_mb()], []
    for clone, locations in zip(clones, asked, strict=True):
        first.append(ask(session, clone, locations[0]).ms)
        memory.append(resident_mb())
    turns: list[list[Answered]] = [[] for _ in clones]
    for i in range(len(asked[0])):
        for found, clone, locations in zip(turns, clones, asked, strict=True):
            found.append(ask(session, clone, locations[i]))
    session.close()
    pairs = [p for a, b in zip(alone, turns, strict=True) for p in zip(a, b, strict=True)]
    return {
        "bench": "switching",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "settings": {"repositories": len(clones), "places": len(asked[0])},
        "figures": {
            "alone_ms": round(statistics.median(one.ms for one, _ in pairs), 1),
            "in_turns_ms": round(statistics.median(other.ms for _, other in pairs), 1),
            "added_ms": round(statistics.median(other.ms - one.ms for one, other in pairs), 1),
            "first_request_ms": [round(ms) for ms in first],
            "memory_mb": [round(mb) for mb in memory],
            "outputs": len(pairs),
            "different": sum(one.text != other.text for one, other in pairs),
            "wrong_adapter": sum(one.adapter != other.adapter for one, other in pairs),
        },
    }


def ask(session: Any, clone: Path, location: str) -> Answered:
    """Complete at a place."""
    from git_copilot.assistant.api.requests import CompleteRequest
    from git_copilot.assistant.completion.callbacks import Callbacks
    from git_copilot.assistant.completion.complete import complete
    from git_copilot.assistant.completion.request import find_place

    request = CompleteRequest(location, clone, max_tokens=32)
    begun = time.perf_counter()
    answer = complete(request, find_place(request), session, Callbacks())
    ms = (time.perf_counter() - begun) * 1000
    for action in session.take_deferred():
        action()
    return Answered(answer.candidates[0], ms, answer.adapter)


def resident_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    return "\n".join(f"{name:<20}{value}" for name, value in result["figures"].items())


if __name__ == "__main__":
    sys.exit(main())
