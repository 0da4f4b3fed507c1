"""Files as a training kit's pack has them, and the kit's modules."""

from __future__ import annotations

import importlib
import random
from pathlib import Path

import pytest

SEED = Path(__file__).resolve().parents[2] / "bench" / "seed"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(SEED))
    packed, pieces, kit = (importlib.import_module(n) for n in ("packed", "pieces", "train_cuda"))


def text(topic, functions=8):
    return "".join(
        f"def {topic}_{i}(first, second):\n"
        f"    combined_{topic}{i} = first * {i} + second\n"
        f"    if combined_{topic}{i} > {i}:\n"
        f"        return normalise_{topic}{i}(combined_{topic}{i})\n"
        f"    return first\n\n\n"
        for i in range(functions)
    )


def file(source, name, functions=8):
    content = text(name, functions)
    lines = content.split("\n")
    chunks = tuple(range(0, len(lines), 7))
    nodes = tuple(
        (m, m + len(f"combined_{name}{i} = first * {i} + second"))
        for i in range(functions)
        if (m := content.find(f"combined_{name}{i} = first")) >= 0
    )
    return packed.PackedFile(source, f"src/{name}.py", "python", content, nodes, chunks)


def repository():
    found = pieces.Repository("fruit", [file(0, f"apple{n}") for n in range(4)])
    found.index()
    return found


def many(tokenizer, count=400):
    found, rng = repository(), random.Random(1)
    made = (pieces.make_piece(found, rng.randrange(4), tokenizer, rng) for _ in range(count))
    return [piece for piece in made if piece is not None]
