"""From a request of any protocol to the service: one queue, folders to look in, cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request

from git_copilot.assistant.api.answers import CompleteAnswer, FillAnswer
from git_copilot.assistant.api.requests import FeedbackRequest, FillRequest, OpenText
from git_copilot.assistant.backend.allocator import HeapTrimmer
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.http.fields import BadRequest, Fields
from git_copilot.assistant.http.filled import Filled
from git_copilot.assistant.http.metrics import CANCELLED, FAILED, REFUSED, SUPERSEDED, Metrics
from git_copilot.assistant.models.catalogue import find_spec, is_ready
from git_copilot.assistant.service.request_queue import (
    MAX_WAITING,
    RequestDropped,
    ServerBusy,
    Turn,
)

if TYPE_CHECKING:
    from git_copilot.assistant.service.hosting import ServerHost

MODEL_NAME = "git-copilot"
# Answers whose repository is remembered, for reports on them.
MAX_ANSWERS = 512
_KEY_CHARACTERS = 1000
OnText = Callable[[str], None]


class Gateway:
    """The service as the protocols call it, from the event loop."""

    def __init__(self, host: ServerHost, folder: Path | None) -> None:
        """:param folder: where the server was started: the last folder to look in."""
        self.metrics = Metrics(host.queue)
        self._host, self._folder = host, folder
        self._threads = ThreadPoolExecutor(MAX_WAITING + 8, "http")
        self._memory = HeapTrimmer()
        self._roots: OrderedDict[str, Path] = OrderedDict()
        self._told: set[str] = set()

    def folders(
        self, http: Request, fields: Fields, texts: Sequence[OpenText] = ()
    ) -> tuple[Path, ...]:
        """Folders to look for the file in: the one that the request names (field or query parameter
        ``root``), those of open files, and the server's own.

        :raises BadRequest: the named one is no absolute path.
        """
        named = fields.folder("root") or Fields(dict(http.query_params)).folder("root")
        opened = [Path(each.path).parent for each in texts if Path(each.path).is_absolute()]
        every = [named, *opened[::-1], self._folder]
        return tuple(dict.fromkeys(folder for folder in every if folder is not None))

    def model(self, name: str) -> str | None:
        """The model that a client names, if it is one of ours and downloaded; else the configured
        one counts, since clients must send some name."""
        return name if find_spec(name) is not None and is_ready(name) else None

    async def fill(
        self,
        http: Request,
        protocol: str,
        request: FillRequest,
        stops: Sequence[str] = (),
        on_text: OnText | None = None,
    ) -> Filled:
        """Answer a request.

        :param stops: texts that end the completion.
        :param on_text: gets the whole lines so far, in the event loop.
        :raises RequestDropped: the client left, or asked again at the same place.
        :raises CopilotError: something that the user can correct, or a full queue.
        """
        request = replace(request, client=request.client or f"http/{protocol}")
        gone = threading.Event()
        loop = asyncio.get_running_loop()
        watcher = asyncio.create_task(_watch(http, gone))
        heard = None if on_text is None else _in_loop(loop, on_text)
        agent = http.headers.get("user-agent", "")
        text = request.path or request.suffix[:_KEY_CHARACTERS] + request.prefix[:_KEY_CHARACTERS]
        place: Hashable = (protocol, agent, text)
        arrived = self._host.queue.arrive()
        try:
            answer = await loop.run_in_executor(
                self._threads, self._run, request, gone, heard, place, arrived
            )
        except RequestDropped as exc:
            self.metrics.count(protocol, SUPERSEDED if exc.superseded else CANCELLED)
            raise
        except (ServerBusy, BadRequest):
            self.metrics.count(protocol, REFUSED)
            raise
        except Exception:
            self.metrics.count(protocol, FAILED)
            raise
        finally:
            gone.set()
            watcher.cancel()
        self.metrics.answered(protocol, answer)
        return Filled.of(answer, stops)

    def _run(
        self,
        request: FillRequest,
        gone: threading.Event,
        on_text: OnText | None,
        place: Hashable,
        arrived: int,
    ) -> CompleteAnswer:
        queue = self._host.queue

        def work(is_cancelled: Callable[[], bool]) -> FillAnswer:
            callbacks = Callbacks(self._note, is_cancelled, on_text)
            return self._host.service.fill(request, callbacks)

        try:
            turn = queue.run(work, gone.is_set, place=place, same=request, arrived=arrived)
        except StopIteration as exc:  # the event loop would wait for ever for a future with it
            raise RuntimeError("StopIteration") from exc
        answer = turn.result.answer
        if turn.result.root is not None:
            self._remember(answer.id, turn.result.root)
        with contextlib.ExitStack() as stack:
            stack.enter_context(queue.recorder.sending(len(turn.deferred)))
            self._threads.submit(self._settle, turn, stack.pop_all())
        return answer

    def _settle(self, turn: Turn[FillAnswer], recording: contextlib.ExitStack) -> None:
        """What is left to do once an answer is on its way."""
        with recording:
            for action in turn.deferred:
                action()
        self._memory.trim_after_request()
        self._host.queue.executor.go_on()

    async def feedback(self, completion_id: str, outcome: str, length: int | None = None) -> bool:
        """Record what became of an answer; whether it is known."""
        root = self._roots.get(completion_id)
        if root is None:
            return False
        request = FeedbackRequest(completion_id, outcome, root, accepted_length=length)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._report, request)
        return True

    def _report(self, request: FeedbackRequest) -> None:
        self._host.queue.report(self._host.service, request, self._note)

    def preload(self) -> None:
        """Load the configured model while nobody waits for it."""
        self._host.queue.executor.post(self._host.service.preload)

    def log(self, message: str) -> None:
        self._host.log.write(message)

    def _note(self, text: str) -> None:
        """Log a remark for the user, once."""
        if text not in self._told and len(self._told) < MAX_ANSWERS:
            self._told.add(text)
            self.log(text)

    def _remember(self, completion_id: str, root: Path) -> None:
        self._roots[completion_id] = root
        while len(self._roots) > MAX_ANSWERS:
            self._roots.popitem(last=False)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _in_loop(loop: asyncio.AbstractEventLoop, on_text: OnText) -> OnText:
    """``on_text``, called in the loop's thread, unless the loop has ended."""

    def call(text: str) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(on_text, text)

    return call


async def _watch(http: Request, gone: threading.Event) -> None:
    """Notice that the client closes its connection."""
    while not gone.is_set():
        message = await http.receive()
        if message["type"] == "http.disconnect":
            gone.set()
