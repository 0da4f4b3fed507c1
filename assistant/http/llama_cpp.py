"""llama.cpp's ``/infill``, for llama.vim and llama.vscode.

https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md, with the quirks of its
clients: llama.vim reads only an answer that begins with ``{`` on one line and has ``"content":"``
without a blank; both send ``n_predict`` 0 to warm up; llama.vscode asks for several completions, yet
its prefetch reads one object.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from git_copilot.assistant.api.requests import FillRequest, OpenText
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.core.error_handler import package_version
from git_copilot.assistant.http.endpoint import endpoint
from git_copilot.assistant.http.errors import llama_error
from git_copilot.assistant.http.fields import BadRequest, Fields
from git_copilot.assistant.http.filled import Filled, cut_at_outdent
from git_copilot.assistant.http.gateway import MODEL_NAME, Gateway
from git_copilot.assistant.http.streaming import event

PROTOCOL = "llama.cpp"
# llama.cpp counts the limit on writing from the first token; finding snippets takes time of its own.
EXTRA_MS = 100


def routes(gateway: Gateway) -> list[Route]:
    """The endpoints."""

    async def infill(http: Request, fields: Fields) -> Response:
        if fields.number("n_predict") == 0:
            gateway.preload()
            return JSONResponse(_selected(fields, _warm()))
        request = _request(http, fields, gateway)
        filled = await gateway.fill(http, PROTOCOL, request, fields.texts("stop"))
        filled = filled.with_text(cut_at_outdent(filled.text, fields.number("n_indent") or 0))
        body = _selected(fields, _answer(filled, fields))
        if not fields.flag("stream"):
            return JSONResponse(body)
        return StreamingResponse(_events(body), media_type="text/event-stream")

    async def props(http: Request) -> Response:
        return JSONResponse(
            {
                "default_generation_settings": _settings(),
                "total_slots": 1,
                "model_path": MODEL_NAME,
                "build_info": f"git-copilot {package_version()}",
            }
        )

    return [
        Route("/infill", endpoint(infill, llama_error), methods=["POST"]),
        Route("/props", props, methods=["GET"]),
    ]


def _request(http: Request, fields: Fields, gateway: Gateway) -> FillRequest:
    """:raises BadRequest: a field is missing or has a wrong type."""
    for name in ("input_prefix", "input_suffix"):
        if name not in fields:
            raise BadRequest(f"{name!r} is required", "send the text on both sides of the cursor")
    texts = []
    for extra in fields.objects("input_extra"):
        if "text" not in extra:
            raise BadRequest("each of 'input_extra' needs 'text'", "send the chunk's text")
        texts.append(OpenText(extra.text("filename"), extra.text("text")))
    opened = tuple(each for each in texts if each.path and each.text)
    reading, writing = fields.number("t_max_prompt_ms"), fields.number("t_max_predict_ms")
    limit = EXTRA_MS + max(reading or 0, 0) + writing if writing and writing > 0 else None
    return FillRequest(
        fields.text("input_prefix") + fields.text("prompt"),
        fields.text("input_suffix"),
        path=fields.text("path") or None,
        folders=gateway.folders(http, fields, opened),
        max_tokens=fields.max_tokens("n_predict"),
        model=gateway.model(fields.text("model")),
        open_texts=opened,
        latency_ms=reading if reading and reading > 0 else None,
        time_limit_ms=limit,
    )


def _settings() -> dict[str, Any]:
    settings = Settings()
    return {"n_ctx": settings.prompt_tokens, "n_predict": settings.max_tokens, "model": MODEL_NAME}


def _answer(filled: Filled, fields: Fields) -> dict[str, Any]:
    answer = filled.answer
    read = max(0, answer.prompt_tokens - answer.cached_tokens)
    timings = {
        **_timing("prompt", read, answer.timings.retrieve + answer.timings.prefill),
        **_timing("predicted", answer.completion_tokens, answer.timings.decode),
        "cache_n": answer.cached_tokens,
        "truncated": False,
    }
    return {
        "index": 0,
        "content": filled.text,
        "tokens_cached": answer.cached_tokens,
        "tokens_evaluated": answer.prompt_tokens,
        "tokens_predicted": answer.completion_tokens,
        "truncated": False,
        "stop": True,
        "stop_type": "limit" if filled.finish_reason == "length" else "eos",
        "model": answer.model,
        "id_slot": max(fields.number("id_slot") or 0, 0),
        "generation_settings": _settings(),
        "timings": timings,
        "id": answer.id,
    }


def _timing(name: str, tokens: int, ms: float) -> dict[str, float]:
    return {
        f"{name}_n": tokens,
        f"{name}_ms": round(ms, 3),
        f"{name}_per_token_ms": round(ms / tokens, 3) if tokens else 0.0,
        f"{name}_per_second": round(tokens / ms * 1000, 3) if ms else 0.0,
    }


def _warm() -> dict[str, Any]:
    """The answer to a request that wants nothing written."""
    nothing = {**_timing("prompt", 0, 0), **_timing("predicted", 0, 0), "cache_n": 0}
    return {
        "index": 0, "content": "", "tokens_cached": 0, "tokens_evaluated": 0, "tokens_predicted": 0,
        "truncated": False, "stop": True, "stop_type": "limit", "model": MODEL_NAME, "id_slot": 0,
        "generation_settings": _settings(), "timings": nothing,
    }  # fmt: skip


def _selected(fields: Fields, answer: dict[str, Any]) -> dict[str, Any]:
    """The fields that the client asks for, nested ones by their path, as llama.cpp gives them; and
    always those that clients read without asking."""
    wanted = fields.texts("response_fields")
    if not wanted:
        return answer
    found: dict[str, Any] = {}
    for name in wanted:
        value: Any = answer
        for part in name.split("/"):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            found[name] = value
    return found


async def _events(body: dict[str, Any]) -> AsyncIterator[str]:
    yield event(body)
