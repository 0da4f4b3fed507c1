"""Progress that the client shows while the model is loaded and while the index is updated."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

# A request that takes longer than this, of a server that has not answered yet, loads a model.
LOADING_SECONDS = 0.7
# Pauses between two looks at a repository that is being indexed; the last one repeats.
PAUSES = (2.0, 3.0, 5.0, 10.0, 15.0)
MOST_SECONDS = 600.0
STATUS_SECONDS = 20.0
# A client that does not confirm a progress within this time gets none.
CONFIRM_SECONDS = 5.0


class ProgressClient(Protocol):
    """The end of the connection that progress is shown at."""

    async def create(self, token: str) -> None: ...
    def send(self, token: str, value: dict[str, Any]) -> None: ...


class ProgressReporter:
    """Shows progress to a client that supports it; ``client`` is ``None`` for others."""

    def __init__(self, client: ProgressClient | None = None) -> None:
        self.client = client
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: dict[Path, asyncio.Event] = {}

    @contextlib.asynccontextmanager
    async def shown(self, title: str, message: str) -> AsyncIterator[None]:
        """Show one progress as long as the context lasts."""
        client, token = self.client, f"git-copilot-{uuid.uuid4()}"
        if client is None:
            yield
            return
        try:
            await asyncio.wait_for(client.create(token), CONFIRM_SECONDS)
        except Exception:  # noqa: BLE001 - refused: whatever the reason, nothing is shown
            yield
            return
        client.send(token, {"kind": "begin", "title": title, "message": message})
        try:
            yield
        finally:
            client.send(token, {"kind": "end"})

    @contextlib.asynccontextmanager
    async def when_slow(self, title: str, message: str) -> AsyncIterator[None]:
        """Show progress once the context has lasted for :data:`LOADING_SECONDS`."""
        done = asyncio.Event()

        async def show() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), LOADING_SECONDS)
                return
            async with self.shown(title, message):
                await done.wait()

        if self.client is not None:
            self._keep(show())
        try:
            yield
        finally:
            done.set()

    def index_state(self, worktree: Path, *, fresh: bool) -> None:
        """Note whether the index stood for the worktree in an answer; show progress until it does."""
        watched = self._watched.get(worktree)
        if fresh:
            if watched is not None:
                watched.set()
            self._watched.pop(worktree, None)
        elif watched is None and self.client is not None:
            self._watched[worktree] = asyncio.Event()
            self._keep(self._watch(worktree, self._watched[worktree]))

    def close(self) -> None:
        """End what is being watched."""
        for task in self._tasks:
            task.cancel()

    async def _watch(self, worktree: Path, done: asyncio.Event) -> None:
        async with self.shown("git-copilot", f"indexing {worktree.name}"):
            await until_fresh(lambda: is_fresh(worktree), done)

    def _keep(self, work: Any) -> None:
        """Run a task; the loop alone would not keep it from being collected."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def until_fresh(look: Callable[[], Awaitable[bool]], done: asyncio.Event) -> None:
    """Wait until ``look`` says so, ``done`` is set, or :data:`MOST_SECONDS` have passed."""
    waited, turn = 0.0, 0
    while waited < MOST_SECONDS:
        pause = PAUSES[min(turn, len(PAUSES) - 1)]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), pause)
            return
        if await look():
            return
        waited, turn = waited + pause, turn + 1


async def is_fresh(worktree: Path) -> bool:
    """Whether the index stands for the worktree, or cannot be asked. In a process of its own:
    what reads a database must not hold up an editor."""
    command = [sys.executable, "-P", "-m", "git_copilot.assistant.entry", "status", "--json"]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=worktree,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            told, _ = await asyncio.wait_for(process.communicate(), STATUS_SECONDS)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        return bool(json.loads(told)["index"]["fresh"])
    except TimeoutError:
        return False  # busy
    except (OSError, ValueError, KeyError, TypeError):
        return True
