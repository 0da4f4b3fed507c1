"""OpenAI's ``/v1/completions``, for Zed, minuet, Continue and whoever speaks it.

https://platform.openai.com/docs/api-reference/completions. A prompt that a client has rendered with
the tokens of a known family is taken apart again, so that other files can be searched for it. Zed
needs every field of the answer.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from git_copilot.assistant.api.requests import FillRequest
from git_copilot.assistant.http import tabby
from git_copilot.assistant.http.client_text import ClientText
from git_copilot.assistant.http.endpoint import endpoint
from git_copilot.assistant.http.errors import openai_error
from git_copilot.assistant.http.fields import BadRequest, Fields
from git_copilot.assistant.http.filled import Filled
from git_copilot.assistant.http.gateway import MODEL_NAME, Gateway
from git_copilot.assistant.http.streaming import AnswerStream, event

PROTOCOL = "openai"


def routes(gateway: Gateway) -> list[Route]:
    """The endpoints; Tabby's requests come to the same path and have ``segments``."""

    async def complete(http: Request, fields: Fields) -> Response:
        if "segments" in fields:
            return await tabby.complete(gateway, http, fields)
        request, stops = _request(http, fields, gateway), fields.texts("stop")
        if fields.flag("stream"):
            stream = AnswerStream(gateway, http, PROTOCOL, request, stops)
            usage = fields.object("stream_options").flag("include_usage")
            await stream.begin()
            return StreamingResponse(_events(stream, usage), media_type="text/event-stream")
        filled = await gateway.fill(http, PROTOCOL, request, stops)
        return JSONResponse(_answer(filled))

    async def models(http: Request) -> Response:
        entry = {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": MODEL_NAME}
        return JSONResponse({"object": "list", "data": [entry]})

    paths = ("/v1/completions", "/beta/completions", "/completions")
    return [
        *(Route(path, endpoint(complete, openai_error), methods=["POST"]) for path in paths),
        *(Route(path, models, methods=["GET"]) for path in ("/v1/models", "/models")),
    ]


def _request(http: Request, fields: Fields, gateway: Gateway) -> FillRequest:
    """:raises BadRequest: a field has a wrong type, or there is no prompt."""
    prompts = fields.texts("prompt")
    if len(prompts) != 1:
        raise BadRequest("'prompt' must be one string", "send a request for each prompt")
    text = ClientText.of(prompts[0], fields.text("suffix"), may_be_rendered="suffix" not in fields)
    return FillRequest(
        text.prefix,
        text.suffix,
        path=fields.text("path") or text.path,
        folders=gateway.folders(http, fields, text.open_texts),
        language=fields.text("language") or text.language,
        max_tokens=fields.max_tokens("max_tokens"),
        model=gateway.model(fields.text("model")),
        count=fields.count("n"),
        open_texts=text.open_texts,
    )


def usage_of(filled: Filled) -> dict[str, int]:
    """The tokens of an answer, as OpenAI and Mistral count them."""
    read, written = filled.answer.prompt_tokens, filled.answer.completion_tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _choice(index: int, text: str, finish: str | None) -> dict[str, Any]:
    return {"index": index, "text": text, "logprobs": None, "finish_reason": finish}


def _answer(filled: Filled) -> dict[str, Any]:
    return {
        "id": filled.answer.id,
        "object": "text_completion",
        "created": int(time.time()),
        "model": filled.answer.model,
        "choices": [
            _choice(index, text, filled.finish_reason) for index, text in enumerate(filled.texts)
        ],
        "usage": usage_of(filled),
    }


async def _events(stream: AnswerStream, usage: bool) -> AsyncIterator[str]:
    """Server-sent events: pieces of the first candidate, then the other ones, then the end."""
    head: dict[str, Any] = {
        "id": stream.id, "object": "text_completion", "created": int(time.time()),
        "model": MODEL_NAME,
    }  # fmt: skip
    async for piece in stream.pieces():
        yield event({**head, "choices": [_choice(0, piece, None)]})
    filled = stream.filled
    if filled is None:
        yield event(openai_error(*stream.failure))
    else:
        for index, text in enumerate(filled.texts[1:], 1):
            yield event({**head, "choices": [_choice(index, text, filled.finish_reason)]})
        last = {**head, "choices": [_choice(0, "", filled.finish_reason)]}
        yield event({**last, "usage": usage_of(filled)})
        if usage:
            yield event({**head, "choices": [], "usage": usage_of(filled)})
    yield "data: [DONE]\n\n"
