"""How fast the embedders are: ``python bench/embed.py [--quick] [--json]``.

Chunks of Python's own library, embedded by the static default, by the one made of MiniLM and by
MiniLM itself, in turns. These must have been pulled (`git copilot model pull`).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import sysconfig
import time
from pathlib import Path

from about import machine

from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.index.embedding.embedders import load_embedder
from git_copilot.index.text.chunking import chunk_blob

NAMES = ("copilot-embed-v1", "minilm-static", "all-minilm-l6-v2")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round instead of three")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    chunks = [c.text for path in sources for c in chunk_blob(path.read_bytes(), "python")]
    embedders = [load_embedder(name, resolve_model(name)) for name in NAMES]
    rates: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(1 if options.quick else 3):
        for name, embedder, count in zip(NAMES, embedders, (4000, 4000, 200), strict=True):
            begun = time.perf_counter()
            embedder.encode(chunks[:count])
            rates[name].append(count / (time.perf_counter() - begun))
    figures = {name: round(statistics.median(values)) for name, values in rates.items()}
    if options.json:
        print(json.dumps({"machine": machine(), "chunks_per_second": figures}, indent=1))
    else:
        for name, rate in figures.items():
            print(f"{name:<20}{rate:>8} chunks/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
