"""Many people at once: ``python bench/load.py [--quick] [--json] [--repo PATH] [--isa avx2]
[--http N] [--socket N] [--seconds S]``.

Clients type lines of a repository's files at 5 keys a second, half over HTTP and half over the
socket. Each key closes the request before it and asks again, as editors do; behind a line a client
waits for its answer, up to ten seconds. Printed are the latency of answered requests, what became of
the others, the longest queue, and the server's memory every ten seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from about import machine, output
from isa import add_isa_option, limit_instructions

limit_instructions()  # the server inherits it

from protocols import ROOT, choose_spots, served, spread

from git_copilot.assistant.client.address import socket_path

KEY_SECONDS = 0.2
WAIT_SECONDS = 10.0
SAMPLE_SECONDS = 10.0


@dataclass
class Tally:
    """What became of the requests of one kind of client."""

    sent: int = 0
    closed: int = 0  # by the client, for a later key
    late: int = 0  # no answer within WAIT_SECONDS behind a line
    errors: list[str] = field(default_factory=list)
    while_typing: list[float] = field(default_factory=list)  # ms of answers between two keys
    behind_lines: list[float] = field(default_factory=list)  # ms of answers to the last key


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 clients of each kind, 30 seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repo", type=Path, default=ROOT, help="clone this (default: ours)")
    parser.add_argument("--http", type=int, default=20, help="clients over HTTP (20)")
    parser.add_argument("--socket", type=int, default=20, help="clients over the socket (20)")
    parser.add_argument("--seconds", type=float, default=300, help="how long they type (300)")
    add_isa_option(parser)
    options = parser.parse_args()
    if options.quick:
        options.http, options.socket, options.seconds = 4, 4, 30
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="bench-load-") as temporary:
        os.environ["XDG_RUNTIME_DIR"] = temporary  # a server of its own
        project = Path(temporary) / "project"
        subprocess.run(["git", "clone", "-q", str(options.repo), str(project)], check=True)
        with served(project, Path(temporary)) as client:
            figures = asyncio.run(load(project, client, options))
    result = {
        "bench": "load",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "repository": options.repo.resolve().name,
        "clients": {"http": options.http, "socket": options.socket},
        "seconds": options.seconds,
        "figures": figures,
    }
    print(json.dumps(result, indent=1) if options.json else table(figures))
    return 1 if any(figures[kind]["errors"] for kind in ("http", "socket")) else 0


async def load(project: Path, client: httpx.Client, options: argparse.Namespace) -> dict[str, Any]:
    """Let the clients type; the figures."""
    spots = choose_spots(project, options.http + options.socket)
    tallies = {"http": Tally(), "socket": Tally()}
    end = time.monotonic() + options.seconds
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=options.http)
    async with httpx.AsyncClient(
        base_url=client.base_url, headers=client.headers, timeout=60, limits=limits
    ) as http:
        watching = asyncio.create_task(watch(http))
        typists = []
        for number, spot in enumerate(spots):
            kind = "http" if number < options.http else "socket"
            ask = over_http(http, project) if kind == "http" else over_socket(project, number)
            lines = (project / spot.path).read_text("utf-8", "replace").split("\n")
            typists.append(Typist(tallies[kind], ask, spot.path, lines, spot.line, end).type())
        await asyncio.gather(*typists)
        watching.cancel()
        samples = (await asyncio.gather(watching, return_exceptions=True))[0]
        metrics = (await http.get("/metrics")).text
    memory = samples if isinstance(samples, list) else SAMPLES
    return {
        **{kind: figures_of(tally) for kind, tally in tallies.items()},
        "memory_mb": [mb for mb, _ in memory],
        "longest_queue": max((waiting for _, waiting in memory), default=0),
        "server": {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in metrics.splitlines()
            if line.startswith(("git_copilot_requests_total", "git_copilot_cache"))
        },
    }


SAMPLES: list[tuple[int, int]] = []


async def watch(http: httpx.AsyncClient) -> None:
    """Sample memory (MB) every ten seconds, and the longest queue in between."""
    longest, next_sample = 0, time.monotonic()
    while True:
        values = {}
        for line in (await http.get("/metrics")).text.splitlines():
            name, _, value = line.rpartition(" ")
            values[name] = value
        longest = max(longest, int(float(values["git_copilot_waiting_requests"])))
        if time.monotonic() >= next_sample:
            resident = float(values["git_copilot_resident_bytes"])
            SAMPLES.append((round(resident / 2**20), longest))
            longest, next_sample = 0, next_sample + SAMPLE_SECONDS
        await asyncio.sleep(0.5)


class Typist:
    """Types the lines of a file, from one on, until the time is over."""

    def __init__(
        self, tally: Tally, ask: Any, path: str, lines: list[str], line: int, end: float
    ) -> None:
        self._tally, self._ask, self._path = tally, ask, path
        self._lines, self._line, self._end = lines, line, end
        self._rng = random.Random(line)

    async def type(self) -> None:
        await asyncio.sleep(self._rng.random() * KEY_SECONDS)
        while time.monotonic() < self._end:
            self._line = self._line % len(self._lines) + 1
            text = self._lines[self._line - 1]
            pending: asyncio.Task[float] | None = None
            start = len(text) - len(text.lstrip())
            for column in range(start + 1, len(text) + 1):
                if time.monotonic() > self._end:
                    break
                await self._close(pending)
                pending = asyncio.create_task(self._request(text[:column]))
                await asyncio.sleep(KEY_SECONDS)
            if pending is not None:
                await self._wait(pending)

    async def _request(self, typed: str) -> float:
        self._tally.sent += 1
        before = "\n".join([*self._lines[: self._line - 1], typed])
        after = "\n".join(["", *self._lines[self._line :]])
        begun = time.perf_counter()
        await self._ask(self._path, self._line, before, after)
        return (time.perf_counter() - begun) * 1000

    async def _close(self, pending: asyncio.Task[float] | None) -> None:
        """Close the request of the key before, unless it was answered."""
        if pending is None:
            return
        if pending.done():
            self._note(pending, self._tally.while_typing)
            return
        pending.cancel()
        self._tally.closed += 1
        await asyncio.gather(pending, return_exceptions=True)

    async def _wait(self, pending: asyncio.Task[float]) -> None:
        """Wait for the answer behind a line."""
        done, _ = await asyncio.wait([pending], timeout=WAIT_SECONDS)
        if done:
            self._note(pending, self._tally.behind_lines)
        else:
            self._tally.late += 1
            pending.cancel()
            await asyncio.gather(pending, return_exceptions=True)

    def _note(self, done: asyncio.Task[float], times: list[float]) -> None:
        error = done.exception()
        if error is None:
            times.append(done.result())
        else:
            self._tally.errors.append(repr(error)[:200])


def over_http(http: httpx.AsyncClient, project: Path) -> Any:
    async def ask(path: str, line: int, before: str, after: str) -> None:
        body = {"prompt": before, "suffix": after, "path": path, "root": str(project)}
        (await http.post("/v1/completions", json=body)).raise_for_status()

    return ask


def over_socket(project: Path, number: int) -> Any:
    async def ask(path: str, line: int, before: str, after: str) -> None:
        column = len(before.rpartition("\n")[2]) + 1
        request = {
            "location": f"{path}:{line}:{column}", "cwd": str(project), "automatic": True,
            "text": (before + after).encode().decode("latin-1"), "client": f"load-{number}",
        }  # fmt: skip
        reader, writer = await asyncio.open_unix_connection(str(socket_path()), limit=2**24)
        try:
            writer.write(json.dumps({"op": "complete", "request": request}).encode() + b"\n")
            await writer.drain()
            reply = json.loads(await reader.readline())
            if "answer" not in reply:
                raise RuntimeError(json.dumps(reply))
        finally:
            writer.close()

    return ask


def figures_of(tally: Tally) -> dict[str, Any]:
    return {
        "sent": tally.sent,
        "closed_by_the_client": tally.closed,
        "answered_while_typing": len(tally.while_typing),
        "answered_behind_a_line": len(tally.behind_lines),
        "later_than_10_s": tally.late,
        "errors": tally.errors[:5],
        "error_count": len(tally.errors),
        "while_typing_ms": spread(tally.while_typing) if tally.while_typing else None,
        "behind_a_line_ms": spread(tally.behind_lines) if tally.behind_lines else None,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = []
    for kind in ("http", "socket"):
        lines.append(f"{kind}")
        lines += [f"  {name:<26}{value}" for name, value in figures[kind].items()]
    lines += [f"{name:<28}{figures[name]}" for name in ("memory_mb", "longest_queue", "server")]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
