"""Mistral's ``/v1/fim/completions``, which Codestral's clients speak.

https://docs.mistral.ai/api/#tag/fim: OpenAI's prompt and suffix in, a chat message out.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from git_copilot.assistant.api.requests import FillRequest
from git_copilot.assistant.http.client_text import ClientText
from git_copilot.assistant.http.endpoint import endpoint
from git_copilot.assistant.http.errors import mistral_error
from git_copilot.assistant.http.fields import BadRequest, Fields
from git_copilot.assistant.http.gateway import MODEL_NAME, Gateway
from git_copilot.assistant.http.openai import usage_of
from git_copilot.assistant.http.streaming import AnswerStream, event

PROTOCOL = "mistral"


def routes(gateway: Gateway) -> list[Route]:
    """The endpoints."""

    async def complete(http: Request, fields: Fields) -> Response:
        if "prompt" not in fields:
            raise BadRequest("'prompt' is required", "send the text before the cursor")
        text = ClientText.of(fields.text("prompt"), fields.text("suffix"), may_be_rendered=False)
        request = FillRequest(
            text.prefix,
            text.suffix,
            path=fields.text("path") or text.path,
            folders=gateway.folders(http, fields),
            language=text.language,
            max_tokens=fields.max_tokens("max_tokens"),
            model=gateway.model(fields.text("model")),
        )
        stops = fields.texts("stop")
        if fields.flag("stream"):
            stream = AnswerStream(gateway, http, PROTOCOL, request, stops)
            await stream.begin()
            return StreamingResponse(_events(stream), media_type="text/event-stream")
        filled = await gateway.fill(http, PROTOCOL, request, stops)
        message = {"role": "assistant", "content": filled.text, "tool_calls": None}
        choice = {"index": 0, "message": message, "finish_reason": filled.finish_reason}
        return JSONResponse(
            {
                **_head(filled.answer.id, "chat.completion"),
                "model": filled.answer.model,
                "choices": [choice],
                "usage": usage_of(filled),
            }
        )

    paths = ("/v1/fim/completions", "/fim/completions")
    return [Route(path, endpoint(complete, mistral_error), methods=["POST"]) for path in paths]


def _head(name: str, kind: str) -> dict[str, Any]:
    return {"id": name, "object": kind, "created": int(time.time()), "model": MODEL_NAME}


async def _events(stream: AnswerStream) -> AsyncIterator[str]:
    head = _head(stream.id, "chat.completion.chunk")

    def chunk(text: str, finish: str | None) -> dict[str, Any]:
        delta = {"role": "assistant", "content": text}
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    async for piece in stream.pieces():
        yield event(chunk(piece, None))
    if stream.filled is None:
        yield event(mistral_error(*stream.failure))
    else:
        yield event({**chunk("", stream.filled.finish_reason), "usage": usage_of(stream.filled)})
    yield "data: [DONE]\n\n"
