"""What people would use instead, on the same files and the same vectors."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from git_copilot.index.git.repository import GitRepository

WINDOW = 40  # lines of a chunk of the plain loop


def plain_loop(root: Path, model: Path, queries: list[str]) -> dict[str, Any]:
    """The loop that a user writes: windows of each tracked text file, sentence-transformers, a flat
    FAISS index. A commit means running it again."""
    import faiss
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(model), device="cpu")
    encoder.encode(["warm"])
    begun = time.perf_counter()
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    chunks = []
    for name in listed.stdout.decode().split("\0"):
        path = root / name
        if not name or not path.is_file():
            continue
        try:
            lines = path.read_text("utf-8").split("\n")
        except UnicodeDecodeError:
            continue
        chunks += ["\n".join(lines[i : i + WINDOW]) for i in range(0, len(lines), WINDOW)]
    vectors = encoder.encode(chunks, normalize_embeddings=True, show_progress_bar=False)
    index: Any = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.asarray(vectors, dtype=np.float32))
    built = time.perf_counter() - begun
    times = []
    for text in queries:
        asked = time.perf_counter()
        index.search(encoder.encode([text], normalize_embeddings=True), 10)
        times.append((time.perf_counter() - asked) * 1e3)
    return {"chunks": len(chunks), "build_s": built, "commit_s": built, "search_ms": times}


def semble(root: Path, model: Path, queries: list[str]) -> dict[str, Any] | str:
    """semble with the same static vectors; a note when it is not installed."""
    try:
        from semble import SembleIndex
    except ImportError:
        return "not installed (pip install semble)"
    begun = time.perf_counter()
    index = SembleIndex.from_path(str(root), model_path=str(model))
    built = time.perf_counter() - begun
    times = []
    for text in queries:
        asked = time.perf_counter()
        index.search(text, top_k=10)
        times.append((time.perf_counter() - asked) * 1e3)
    return {"chunks": len(index.chunks), "build_s": built, "search_ms": times}


def ripgrep(root: Path, words: list[str]) -> dict[str, Any] | str:
    """ripgrep for one identifier, whole word; a note when it is not here."""
    program = shutil.which("rg")
    if program is None:
        return "not here (Debian's package ripgrep)"
    times = []
    for word in words:
        asked = time.perf_counter()
        subprocess.run([program, "-c", "-w", "-F", "--", word], cwd=root, capture_output=True)
        times.append((time.perf_counter() - asked) * 1e3)
    return {"search_ms": times}


def checkout(repo: GitRepository, target: Path) -> Path:
    """A working tree of ``repo`` that may be changed."""
    subprocess.run(
        ["git", "clone", "-q", "--shared", str(repo.common_dir), str(target)], check=True
    )
    return target


if __name__ == "__main__":
    sys.exit("run bench/index.py")
