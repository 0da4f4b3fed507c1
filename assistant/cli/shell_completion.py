"""What a shell offers for an argument: given to click as ``shell_complete``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import fields

import click
from click.shell_completion import CompletionItem

from git_copilot.index.core.errors import CopilotError
from git_copilot.index.git.repository import GitRepository

Items = list[CompletionItem]
Completer = Callable[[click.Context, click.Parameter, str], Items]


def of(values: Iterable[str]) -> Completer:
    """Some of a few words."""
    words = list(values)
    return lambda context, parameter, begun: _beginning(words, begun)


def _beginning(words: Iterable[str], begun: str) -> Items:
    return [CompletionItem(x) for x in words if x.startswith(begun) and x.isprintable()]


def files(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Names of files, which the shell itself completes."""
    return [CompletionItem(begun, type="file")]


def adapters(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """The adapters of the repository around the current folder."""
    from git_copilot.assistant.adapters.adapter_store import ids

    try:
        return _beginning(ids(GitRepository.discover().state_dir), begun)
    except (CopilotError, OSError):
        return []


def adapters_or_none(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """The same, and ``none``."""
    return adapters(context, parameter, begun) + _beginning(["none"], begun)


def models(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """The listed models by their short and whole names."""
    from git_copilot.assistant.models.catalogue import ALIASES, SPECS

    return _beginning([*ALIASES, *(spec.name for spec in SPECS)], begun)


def completion_models(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """Those that complete, not embedders; a folder can be one too."""
    from git_copilot.assistant.models.catalogue import find_spec

    def completes(item: CompletionItem) -> bool:
        spec = find_spec(item.value)
        return spec is not None and spec.kind == "completion"

    found = [item for item in models(context, parameter, begun) if completes(item)]
    return found or [CompletionItem(begun, type="dir")]


def settings(context: click.Context, parameter: click.Parameter, begun: str) -> Items:
    """The names of settings as git spells them, with or without ``copilot.``."""
    from git_copilot.assistant.core.config import Settings

    names = [re.sub(r"_(\w)", lambda m: m[1].upper(), each.name) for each in fields(Settings)]
    return _beginning([f"copilot.{name}" for name in names], begun) or _beginning(names, begun)
