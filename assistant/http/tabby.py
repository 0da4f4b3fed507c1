"""Tabby's API, for its agent and the editors behind it.

https://tabby.tabbyml.com/api. The agent asks for health by GET and again by POST, reads the version,
and reports what became of an answer.
"""

from __future__ import annotations

import os
import platform
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from git_copilot.assistant.api.requests import FillRequest, OpenText
from git_copilot.assistant.http.endpoint import endpoint
from git_copilot.assistant.http.errors import openai_error
from git_copilot.assistant.http.fields import BadRequest, Fields
from git_copilot.assistant.http.gateway import MODEL_NAME, Gateway

PROTOCOL = "tabby"
# The version whose API this is: an older one is not asked for its settings.
VERSION = "0.32.0"
# The most useful last: of many texts the last ones are searched.
_LISTS = (
    ("relevant_snippets_from_recently_opened_files", "filepath", "body"),
    ("relevant_snippets_from_changed_files", "filepath", "body"),
    ("declarations", "filepath", "body"),
)


def routes(gateway: Gateway) -> list[Route]:
    """The endpoints beside ``/v1/completions``."""

    async def events(http: Request, fields: Fields) -> Response:
        kind = fields.text("type")
        outcome = {"select": "accepted", "dismiss": "rejected"}.get(kind)
        if outcome is not None:
            # A selected line is a part, whose length nobody tells.
            line = http.query_params.get("select_kind") == "line" and kind == "select"
            length = fields.number("accepted_length") if line else None
            chosen = "partial" if line and length else outcome
            await gateway.feedback(fields.text("completion_id"), chosen, length)
        return Response("", 200, media_type="text/plain")

    return [
        Route("/v1/events", endpoint(events, openai_error), methods=["POST"]),
        Route("/v1/health", _health, methods=["GET", "POST"]),
        Route("/v1beta/server_setting", _settings, methods=["GET"]),
    ]


async def _health(http: Request) -> Response:
    version = {
        "build_date": "",
        "build_timestamp": "",
        "git_sha": "",
        "git_describe": f"v{VERSION}",
    }
    return JSONResponse(
        {
            "model": MODEL_NAME,
            "device": "cpu",
            "arch": platform.machine(),
            "cpu_info": platform.processor() or platform.machine(),
            "cpu_count": os.cpu_count() or 1,
            "cuda_devices": [],
            "version": version,
        }
    )


async def _settings(http: Request) -> Response:
    return JSONResponse({"disable_client_side_telemetry": True})


async def complete(gateway: Gateway, http: Request, fields: Fields) -> Response:
    """Answer ``/v1/completions`` with ``segments``.

    :raises BadRequest: a field is missing or has a wrong type.
    """
    segments = fields.object("segments")
    if "prefix" not in segments:
        raise BadRequest("'segments' needs 'prefix'", "send the text before the cursor")
    texts = tuple(
        OpenText(each.text(path), each.text(body))
        for name, path, body in _LISTS
        for each in segments.objects(name)
        if each.text(path) and each.text(body)
    )
    debug = fields.object("debug_options")
    request = FillRequest(
        segments.text("prefix"),
        segments.text("suffix"),
        path=segments.text("filepath") or None,
        folders=gateway.folders(http, fields, texts),
        language=fields.text("language") or None,
        open_texts=() if debug.flag("disable_retrieval_augmented_code_completion") else texts,
        automatic=fields.text("mode") != "manual",
    )
    filled = await gateway.fill(http, PROTOCOL, request)
    body: dict[str, Any] = {
        "id": filled.answer.id,
        "choices": [{"index": index, "text": text} for index, text in enumerate(filled.texts)],
        "mode": fields.text("mode") or "standard",
    }
    if debug.flag("return_snippets"):
        snippets = [
            {"filepath": hit.path, "body": hit.text, "score": hit.score}
            for hit, _ in filled.answer.snippets
        ]
        body["debug_data"] = {"snippets": snippets, "prompt": None}
    return JSONResponse(body)
