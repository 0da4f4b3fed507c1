"""From a request to the first byte and to the whole answer, through each protocol:
``python bench/protocols.py [--quick] [--json] [--repo PATH] [--isa avx2]
[--llama-python PYTHON --gguf FILE]``.

One server, one clone of a repository, places in its files. At each place one request has the prompt
read, then every protocol asks for a completion of other length, so that nothing is answered from
memory; which goes first changes from place to place. ``overhead`` is the time that the server's own total does not explain: transport, JSON, and
finding the file. ``socket`` is the Unix socket, ``command`` the installed command, ``lsp`` the
language server over its pipe.

``--llama-python`` is the Python of an environment with ``llama-cpp-python[server]``, and ``--gguf`` the
model's weights before training: that server answers ``/v1/completions`` with prompts of about as many
tokens, one line each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from about import machine, output
from isa import add_isa_option, limit_instructions

limit_instructions()  # the server inherits it

from git_copilot.assistant.client.address import socket_path

ROOT = Path(__file__).resolve().parent.parent
TOKENS = 24
SEED = 3


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file: its text on both sides."""

    path: str
    line: int
    column: int
    prefix: str
    suffix: str


@dataclass(frozen=True, slots=True)
class Taken:
    """Milliseconds until the first byte of the answer's text and until its end, and those that the
    server says it took."""

    first: float
    whole: float
    server: float | None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer places, within two minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repo", type=Path, default=ROOT, help="clone this (default: ours)")
    parser.add_argument("--llama-python", type=Path)
    parser.add_argument("--gguf", type=Path)
    add_isa_option(parser)
    options = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="bench-http-") as temporary:
        os.environ["XDG_RUNTIME_DIR"] = temporary  # a server of its own
        project = Path(temporary) / "project"
        subprocess.run(["git", "clone", "-q", str(options.repo), str(project)], check=True)
        spots = choose_spots(project, 12 if options.quick else 40)
        figures = measure(project, spots, Path(temporary))
        if options.llama_python and options.gguf:
            from protocol_rivals import measure_rival

            figures.update(measure_rival(options.llama_python, options.gguf, spots, TOKENS))
    result = {
        "bench": "protocols",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "repository": options.repo.resolve().name,
        "places": len(spots),
        "figures": figures,
    }
    print(json.dumps(result, indent=1) if options.json else table(figures))
    return 0


def choose_spots(project: Path, count: int) -> list[Spot]:
    """Ends of half-written lines in Python files, each in a file of its own as far as they go."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=project, capture_output=True, text=True, check=True
    )
    rng = random.Random(SEED)
    names = sorted(listed.stdout.split())
    rng.shuffle(names)
    found: list[Spot] = []
    while len(found) < count:
        name = names[len(found) % len(names)]
        lines = (project / name).read_text("utf-8", "replace").split("\n")
        long = [n for n, line in enumerate(lines) if len(line.strip()) > 20]
        if not long:
            names.remove(name)
            continue
        number = rng.choice(long)
        cut = len(lines[number]) // 2
        before = "\n".join([*lines[:number], lines[number][:cut]])
        after = "\n".join(["", *lines[number + 1 :]])
        found.append(Spot(name, number + 1, cut + 1, before, after))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(project: Path, folder: Path) -> Iterator[httpx.Client]:
    """A server of ours for the repository, and a client that may ask it."""
    port, token = free_port(), folder / "token"
    subprocess.run(["git-copilot", "init"], cwd=project, check=True, capture_output=True)
    subprocess.run(
        ["git-copilot", "serve", "--http", f"127.0.0.1:{port}", "--token-file", str(token)],
        cwd=project, check=True, capture_output=True,
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120
        ) as client:
            yield client
    finally:
        subprocess.run(["git-copilot", "serve", "--stop"], check=True, capture_output=True)


def measure(project: Path, spots: list[Spot], folder: Path) -> dict[str, Any]:
    """The figures of all ways in."""
    taken: dict[str, list[Taken]] = {}
    with served(project, folder) as client:
        ways = ways_in(project, client)
        for name, ask in ways.items():
            ask(spots[-1])  # loads the model, and opens connections
            taken[name] = []
        names = list(ways)
        for number, spot in enumerate(spots):
            ways["socket"](spot)
            order = names[number % len(names) :] + names[: number % len(names)]
            for name in order:
                taken[name].append(ways[name](spot))
    return {name: figures_of(each) for name, each in taken.items()}


def ways_in(project: Path, client: httpx.Client) -> dict[str, Callable[[Spot], Taken]]:
    """Every way to ask, by name."""
    root = str(project)
    tokens = itertools.count(TOKENS)

    def streamed(path: str, body: dict[str, Any]) -> Taken:
        begun = time.perf_counter()
        first = 0.0
        with client.stream("POST", path, json={**body, "root": root}) as answer:
            answer.raise_for_status()
            for _ in answer.iter_raw():
                first = first or (time.perf_counter() - begun) * 1000
        return Taken(first, (time.perf_counter() - begun) * 1000, None)

    def infill(spot: Spot) -> Taken:
        begun = time.perf_counter()
        body = {"input_prefix": spot.prefix, "input_suffix": spot.suffix, "prompt": "",
                "n_predict": next(tokens), "path": spot.path, "root": root}  # fmt: skip
        client.post("/infill", json=body).raise_for_status()
        whole = (time.perf_counter() - begun) * 1000
        return Taken(
            whole, whole, None
        )  # its timings leave out what is neither reading nor writing

    def openai(spot: Spot, *, stream: bool = False) -> Taken:
        body = {"prompt": spot.prefix, "suffix": spot.suffix, "max_tokens": next(tokens),
                "path": spot.path, "stream": stream}  # fmt: skip
        return streamed("/v1/completions", body)

    def ollama(spot: Spot) -> Taken:
        body = {"prompt": spot.prefix, "suffix": spot.suffix, "path": spot.path,
                "options": {"num_predict": next(tokens)}}  # fmt: skip
        return streamed("/api/generate", body)

    def by_socket(spot: Spot) -> Taken:
        begun = time.perf_counter()
        request = {"location": f"{spot.path}:{spot.line}:{spot.column}", "cwd": root,
                   "text": (spot.prefix + spot.suffix).encode().decode("latin-1"),
                   "max_tokens": next(tokens)}  # fmt: skip
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(socket_path()))
            connection.sendall(json.dumps({"op": "complete", "request": request}).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline())
        whole = (time.perf_counter() - begun) * 1000
        return Taken(whole, whole, answer["answer"]["timings_ms"]["total"])

    def by_command(spot: Spot) -> Taken:
        begun = time.perf_counter()
        done = subprocess.run(
            ["git-copilot", "complete", f"{spot.path}:{spot.line}:{spot.column}", "--stdin",
             "--json", "--max-tokens", str(next(tokens))],
            cwd=project, input=spot.prefix + spot.suffix, capture_output=True, text=True, check=True,
        )  # fmt: skip
        whole = (time.perf_counter() - begun) * 1000
        return Taken(whole, whole, json.loads(done.stdout)["timings_ms"]["total"])

    def mistral(spot: Spot) -> Taken:
        body = {"prompt": spot.prefix, "suffix": spot.suffix, "path": spot.path,
                "max_tokens": next(tokens)}  # fmt: skip
        return streamed("/v1/fim/completions", body)

    def tabby(spot: Spot) -> Taken:
        # Tabby sets no length; a declaration makes each question another one, not known from memory.
        segments = {"prefix": spot.prefix, "suffix": spot.suffix, "filepath": spot.path,
                    "declarations": [{"filepath": "bench.py", "body": f"x = {next(tokens)}"}]}  # fmt: skip
        return streamed("/v1/completions", {"segments": segments})

    def transport(spot: Spot) -> Taken:
        begun = time.perf_counter()
        client.get("/v1/models").raise_for_status()
        whole = (time.perf_counter() - begun) * 1000
        return Taken(whole, whole, 0.0)

    return {
        "HTTP without work": transport,
        "socket": by_socket,
        "command": by_command,
        "llama.cpp /infill": infill,
        "OpenAI /v1/completions": openai,
        "OpenAI, streamed": lambda spot: openai(spot, stream=True),
        "Mistral /v1/fim/completions": mistral,
        "Ollama /api/generate": ollama,
        "Tabby /v1/completions": tabby,
    }


def figures_of(taken: list[Taken]) -> dict[str, Any]:
    """Medians and 90th percentiles in milliseconds."""
    found = {
        "first_byte": spread([each.first for each in taken]),
        "whole": spread([each.whole for each in taken]),
    }
    outside = [each.whole - each.server for each in taken if each.server is not None]
    return {**found, "overhead": spread(outside)} if outside else found


def spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50": round(statistics.median(ordered), 1),
        "p90": round(ordered[int(0.9 * (len(ordered) - 1))], 1),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [f"{'p50 / p90, ms':<28}{'first byte':>16}{'whole answer':>16}{'overhead':>14}"]
    for name, row in figures.items():
        cells = [
            f"{row[key]['p50']:g} / {row[key]['p90']:g}" if key in row else ""
            for key in ("first_byte", "whole", "overhead")
        ]
        lines.append(f"{name:<28}{cells[0]:>16}{cells[1]:>16}{cells[2]:>14}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
