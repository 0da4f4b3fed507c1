"""A completion that is sent while it is written."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.requests import Request

from git_copilot.assistant.api.requests import FillRequest
from git_copilot.assistant.core.error_handler import describe_failure
from git_copilot.assistant.http.filled import Filled, cut_at
from git_copilot.assistant.http.gateway import Gateway
from git_copilot.assistant.service.request_queue import RequestDropped, ServerBusy


def compact_json(body: dict[str, Any]) -> str:
    """A JSON object in one line without blanks, as whole answers have it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def event(body: dict[str, Any]) -> str:
    """A server-sent event with a JSON object."""
    return f"data: {compact_json(body)}\n\n"


class AnswerStream:
    """One answer in pieces. ``filled`` is the whole one once the pieces came; without it
    ``failure`` is a status and a message.

    A model that chooses among several lines has one piece: nothing is sent before its choice.
    """

    def __init__(
        self,
        gateway: Gateway,
        http: Request,
        protocol: str,
        request: FillRequest,
        stops: Sequence[str] = (),
    ) -> None:
        self.id = f"cmpl-{secrets.token_hex(8)}"
        self.filled: Filled | None = None
        self.failure = (500, "the completion failed")
        self._gateway, self._http, self._protocol = gateway, http, protocol
        self._request, self._stops = request, stops
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._first: str | None = None

    async def begin(self) -> None:
        """Wait for the first piece, so that an error before it has a status of its own.

        :raises CopilotError: as :meth:`~git_copilot.assistant.http.gateway.Gateway.fill`.
        :raises RequestDropped: likewise.
        """
        self._task = asyncio.create_task(self._work())
        self._first = await self._texts.get()
        if self._first is None and self.filled is None:
            await self._task

    async def pieces(self) -> AsyncIterator[str]:
        """What is new of the text, piece by piece."""
        assert self._task is not None
        sent = ""
        text = self._first
        try:
            while text is not None:
                text = cut_at(text, self._stops)
                if text.startswith(sent) and len(text) > len(sent):
                    yield text[len(sent) :]
                    sent = text
                text = await self._texts.get()
            try:
                await self._task
            except Exception as exc:  # noqa: BLE001 - told as an event, since the stream has begun
                status = 503 if isinstance(exc, ServerBusy) else 500
                told = (
                    str(exc) if isinstance(exc, RequestDropped) else describe_failure(exc).message
                )
                self.failure = status, told
                return
            assert self.filled is not None
            whole = self.filled.text
            if whole.startswith(sent) and len(whole) > len(sent):
                yield whole[len(sent) :]
        finally:
            self._task.cancel()

    async def _work(self) -> None:
        try:
            self.filled = await self._gateway.fill(
                self._http, self._protocol, self._request, self._stops, self._texts.put_nowait
            )
        finally:
            self._texts.put_nowait(None)
