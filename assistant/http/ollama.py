"""Ollama's API as far as completion goes, for Continue, Twinny, minuet and Zed.

https://github.com/ollama/ollama/blob/main/docs/api.md. Continue fills in the middle only with a
model whose template has ``.Suffix``; Twinny sends a rendered prompt and no suffix.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from git_copilot.assistant.api.requests import FillRequest
from git_copilot.assistant.http.client_text import ClientText
from git_copilot.assistant.http.endpoint import endpoint
from git_copilot.assistant.http.errors import ollama_error
from git_copilot.assistant.http.fields import Fields
from git_copilot.assistant.http.filled import Filled
from git_copilot.assistant.http.gateway import MODEL_NAME, Gateway
from git_copilot.assistant.http.streaming import AnswerStream, compact_json

PROTOCOL = "ollama"
# The version whose API this is; clients compare it.
VERSION = "0.12.0"
TEMPLATE = "<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
_DETAILS = {
    "parent_model": "", "format": "safetensors", "family": "llama", "families": ["llama"],
    "parameter_size": "135M", "quantization_level": "Q8_0",
}  # fmt: skip
_NDJSON = "application/x-ndjson"


def routes(gateway: Gateway) -> list[Route]:
    """The endpoints."""

    async def generate(http: Request, fields: Fields) -> Response:
        streams = fields.flag("stream", default=True)
        if not fields.text("prompt") and not fields.text("suffix"):
            gateway.preload()
            loaded = {**_head(), "response": "", "done": True, "done_reason": "load"}
            return _line_response(loaded) if streams else JSONResponse(loaded)
        request = _request(http, fields, gateway)
        stops = fields.object("options").texts("stop")
        if not streams:
            return JSONResponse(_last(await gateway.fill(http, PROTOCOL, request, stops)))
        stream = AnswerStream(gateway, http, PROTOCOL, request, stops)
        await stream.begin()
        return StreamingResponse(_lines(stream), media_type=_NDJSON)

    async def show(http: Request, fields: Fields) -> Response:
        return JSONResponse(
            {
                "modelfile": f"TEMPLATE {TEMPLATE}",
                "parameters": "",
                "template": TEMPLATE,
                "details": _DETAILS,
                "model_info": {"general.architecture": "llama"},
                "capabilities": ["completion", "insert"],
            }
        )

    return [
        Route("/api/generate", endpoint(generate, ollama_error), methods=["POST"]),
        Route("/api/show", endpoint(show, ollama_error), methods=["POST"]),
        Route("/api/tags", _tags, methods=["GET"]),
        Route("/api/ps", _tags, methods=["GET"]),
        Route("/api/version", _version, methods=["GET"]),
        Route("/", _root, methods=["GET", "HEAD"]),
    ]


async def _tags(http: Request) -> Response:
    name = f"{MODEL_NAME}:latest"
    entry = {
        "name": name, "model": name, "modified_at": _now(), "size": 0, "digest": "",
        "details": _DETAILS,
    }  # fmt: skip
    return JSONResponse({"models": [entry]})


async def _version(http: Request) -> Response:
    return JSONResponse({"version": VERSION})


async def _root(http: Request) -> Response:
    return PlainTextResponse("Ollama is running")


def _request(http: Request, fields: Fields, gateway: Gateway) -> FillRequest:
    suffix = fields.text("suffix")
    text = ClientText.of(fields.text("prompt"), suffix, may_be_rendered=not suffix)
    return FillRequest(
        text.prefix,
        text.suffix,
        path=fields.text("path") or text.path,
        folders=gateway.folders(http, fields, text.open_texts),
        language=text.language,
        max_tokens=fields.object("options").max_tokens("num_predict"),
        model=gateway.model(fields.text("model").removesuffix(":latest")),
        open_texts=text.open_texts,
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")


def _head() -> dict[str, Any]:
    return {"model": MODEL_NAME, "created_at": _now()}


def _last(filled: Filled, text: str | None = None) -> dict[str, Any]:
    """The last line of an answer, or the only object; times are nanoseconds."""
    answer = filled.answer
    times = answer.timings
    return {
        **_head(),
        "response": filled.text if text is None else text,
        "done": True,
        "done_reason": filled.finish_reason,
        "total_duration": _nanoseconds(times.total),
        "load_duration": 0,
        "prompt_eval_count": answer.prompt_tokens,
        "prompt_eval_duration": _nanoseconds(times.retrieve + times.prefill),
        "eval_count": answer.completion_tokens,
        "eval_duration": _nanoseconds(times.decode),
    }


def _nanoseconds(ms: float) -> int:
    return int(ms * 1e6)


async def _lines(stream: AnswerStream) -> AsyncIterator[str]:
    async for piece in stream.pieces():
        yield _line({**_head(), "response": piece, "done": False})
    if stream.filled is None:
        yield _line(ollama_error(*stream.failure))
    else:
        yield _line(_last(stream.filled, ""))


def _line(body: dict[str, Any]) -> str:
    return f"{compact_json(body)}\n"


def _line_response(body: dict[str, Any]) -> Response:
    return Response(_line(body), media_type=_NDJSON)
