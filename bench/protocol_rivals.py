"""llama-cpp-python's server for bench/protocols.py: the embedded default's weights before training,
left to right, since they have no tokens for the middle."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from protocols import Spot, Taken, figures_of, free_port

# Characters of about as many tokens as our prompts have.
CHARACTERS = 3000
START_SECONDS = 60.0


@contextmanager
def served(python: Path, gguf: Path) -> Iterator[httpx.Client]:
    """Its server with one model, and a client."""
    port = free_port()
    process = subprocess.Popen(
        [str(python), "-m", "llama_cpp.server", "--model", str(gguf), "--port", str(port),
         "--n_ctx", "4096", "--n_threads", "2", "--n_threads_batch", "2", "--verbose", "False"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            deadline = time.monotonic() + START_SECONDS
            while time.monotonic() < deadline:
                try:
                    client.get("/v1/models").raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield client
    finally:
        process.terminate()
        process.wait(20)


def measure_rival(
    python: Path, gguf: Path, spots: Sequence[Spot], tokens: int
) -> dict[str, dict[str, Any]]:
    """The figures of its ``/v1/completions``, whole and streamed."""
    taken: dict[str, list[Taken]] = {"": [], ", streamed": []}
    with served(python, gguf) as client:
        for spot in spots:
            prompt = spot.prefix[-CHARACTERS:] or "\n"
            body: dict[str, Any] = {"prompt": prompt, "temperature": 0.0, "max_tokens": tokens}
            client.post("/v1/completions", json=body).raise_for_status()
            for name, stream in (("", False), (", streamed", True)):
                begun, first = time.perf_counter(), 0.0
                with client.stream(
                    "POST", "/v1/completions", json={**body, "stream": stream, "stop": ["\n"]}
                ) as answer:
                    answer.raise_for_status()
                    for _ in answer.iter_raw():
                        first = first or (time.perf_counter() - begun) * 1000
                taken[name].append(Taken(first, (time.perf_counter() - begun) * 1000, None))
    label = f"llama-cpp-python, {gguf.stem.rpartition('.')[2] or gguf.stem}"
    return {f"{label}{name}": figures_of(each) for name, each in taken.items()}
