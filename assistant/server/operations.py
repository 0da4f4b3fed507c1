"""Answers the messages of the socket by calling the service: see docs/server-protocol.md."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from git_copilot.assistant.api.requests import CompleteRequest, FeedbackRequest, SearchRequest
from git_copilot.assistant.client.server_log import ServerLog
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.core.error_handler import describe_failure
from git_copilot.assistant.prompt.location import parse_location
from git_copilot.assistant.server.client_link import ClientLink
from git_copilot.assistant.service.executor import Deferred
from git_copilot.assistant.service.request_queue import RequestDropped, RequestQueue, ServerBusy
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import BUG, LocationError

COMPLETE, SEARCH = "complete", "search"


class Operations:
    """The operations of the service as JSON."""

    def __init__(self, service: Service, queue: RequestQueue, log: ServerLog) -> None:
        self._service, self._queue, self._log = service, queue, log

    def work_on(
        self, operation: str, asked: Any, link: ClientLink, *, streams: bool, arrived: int
    ) -> tuple[dict[str, Any], Deferred]:
        """Complete or search: the reply, and what to do once it has gone out.

        :param arrived: the request's number of
            :meth:`~git_copilot.assistant.service.request_queue.RequestQueue.arrive`.
        """
        notes: list[str] = []
        on_text = link.send_text if streams else None
        use_case = self._complete if operation == COMPLETE else self._search

        def work(is_cancelled: Callable[[], bool]) -> dict[str, Any]:
            callbacks = Callbacks(notes.append, is_cancelled, on_text)
            return _guarded(lambda: use_case(asked, callbacks), notes)

        try:
            turn = self._queue.run(
                work, link.hung_up, place=_place_of(operation, asked), arrived=arrived
            )
        except RequestDropped as exc:
            return {"declined": str(exc)}, []
        except ServerBusy as exc:
            return {"error": describe_failure(exc).to_json(), "notes": notes}, []
        reply, deferred = turn.result, turn.deferred
        error = reply.get("error")
        if error and error["exit_code"] == BUG:  # the content of the request is not logged
            self._log.write(f"{operation} failed; errors.log says how")
        return reply, [] if error else deferred

    def _complete(self, asked: Any, callbacks: Callbacks) -> dict[str, Any]:
        request = CompleteRequest.from_json(asked)
        answer = self._service.complete(request, callbacks)
        reply = {"answer": answer.to_json(), "why_empty": answer.why_empty}
        return {**reply, "explain": answer.explanation.to_json()} if request.explain else reply

    def _search(self, asked: Any, callbacks: Callbacks) -> dict[str, Any]:
        request = SearchRequest.from_json(asked)
        answer = self._service.search(request, callbacks)
        root = None if answer.root is None else str(answer.root)
        reply = {"answer": answer.to_json(), "root": root}
        return {**reply, "texts": [h.text for h in answer.hits]} if request.texts else reply

    def feedback(self, asked: Any) -> dict[str, Any]:
        """Record what became of a completion."""
        notes: list[str] = []

        def take() -> dict[str, Any]:
            request = FeedbackRequest.from_json(asked)
            return {"answer": self._queue.report(self._service, request, notes.append).to_json()}

        return _guarded(take, notes)

    def take_report(self, body: Any) -> dict[str, Any]:
        """Answer ``{"feedback": {"cwd", "id", "outcome", "final"?}}`` of an editor with
        ``{"feedback": {"id", "outcome", "path"}}`` or ``{"error", "exit_code"}``."""
        reply = self.feedback(body)
        if "answer" in reply:
            return {"feedback": reply["answer"]}
        error = reply["error"]
        line = "; ".join(filter(None, (error["message"], error["hint"])))
        return {"error": f"git-copilot: {line}", "exit_code": error["exit_code"]}


def _place_of(operation: str, asked: Any) -> tuple[str, ...] | None:
    """Where somebody types, for requests of clients that say who they are."""
    if operation != COMPLETE or not isinstance(asked, dict):
        return None
    client, cwd, location = (asked.get(name) for name in ("client", "cwd", "location"))
    if not (isinstance(client, str) and isinstance(cwd, str) and isinstance(location, str)):
        return None
    with contextlib.suppress(LocationError):
        return client, cwd, parse_location(location).file
    return None


def _guarded(action: Callable[[], dict[str, Any]], notes: list[str]) -> dict[str, Any]:
    """The result of an action, or its failure; plus its notes."""
    try:
        reply = action()
    except BaseException as exc:  # noqa: BLE001 - a bug is reported, and the server goes on
        reply = {"error": describe_failure(exc).to_json()}
    return {**reply, "notes": notes}
