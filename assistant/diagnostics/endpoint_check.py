"""Checks the server configured as ``copilot.endpoint``, for ``doctor`` and ``status``."""

from __future__ import annotations

from collections.abc import Sequence

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.models.catalogue import is_ready
from git_copilot.assistant.remote.http_client import Endpoint, SlowAnswer
from git_copilot.assistant.remote.remote_engine import family_format
from git_copilot.hooks.doctor import Finding
from git_copilot.index.core.errors import CopilotError

# One who asks how things are does not wait longer for a server.
SECONDS = 2.0
SHOWN = 3


def examine_endpoint(settings: Settings, model: str, adapter: str | None) -> Finding | None:
    """Ask the configured server for its models; ``None`` without one. Network: one request.

    :param model: the canonical name of the model that is wanted.
    :param adapter: the id of the adapter in use.
    """
    if not settings.endpoint:
        return None
    try:
        if settings.endpoint_prompt == "text" or not is_ready(model):
            family_format(settings.fim, settings.endpoint_model or model)
        if settings.endpoint_prompt == "tokens" and not is_ready(model):
            told = f"token ids need the tokenizer of {model}, which is not here"
            return Finding("endpoint", "fail", told, "git config copilot.endpointPrompt text")
        server = Endpoint(settings.endpoint, settings.endpoint_key, SECONDS)
        return _judge(server.url, server.models(), settings, model, adapter)
    except SlowAnswer as exc:
        return Finding("endpoint", "warn", exc.message, "look at the server's log")
    except CopilotError as exc:
        return Finding("endpoint", "fail", exc.message, exc.hint)


def _judge(
    url: str, listed: Sequence[str] | None, settings: Settings, model: str, adapter: str | None
) -> Finding:
    name = settings.endpoint_model or model
    if listed is None:
        told = f"{url} answers and lists no models; {name} is asked for"
        return Finding("endpoint", "ok", told)
    if name not in listed:
        there = ", ".join(listed[:SHOWN]) + (", …" if len(listed) > SHOWN else "")
        told = f"{url} answers and does not list {name}; it has {there}"
        return Finding("endpoint", "warn", told, f"git config copilot.endpointModel '{listed[0]}'")
    told = f"{url} answers and has {name}"
    if adapter is None:
        return Finding("endpoint", "ok", told)
    how = settings.endpoint_adapters
    if how == "none":
        told = f"{told}; the adapter {adapter} is not used there"
    elif adapter in listed:
        told = f"{told} and the adapter {adapter}"
    elif how == "load":
        told = f"{told}; the adapter {adapter} is loaded when it is first needed"
    else:
        told = f"{told}, but not the adapter {adapter}"
        mend = f"load it there as {adapter}, or `git config copilot.endpointAdapters none`"
        return Finding("endpoint", "warn", told, mend)
    return Finding("endpoint", "ok", told)
