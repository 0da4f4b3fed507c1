"""``adapter bisect``: since which adapter a place is completed as it is now."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.context.repository import known_repository
from git_copilot.index.core.errors import CopilotError


@dataclass(frozen=True, slots=True)
class Change:
    """The first adapter that completes as the bad one does, and the one before it."""

    first_bad: str
    last_good: str
    asked: int


@click.command("bisect")
@click.argument("location", metavar="FILE:LINE[:COL]", shell_complete=shell_completion.files)
@click.option("--bad", metavar="ID", shell_complete=shell_completion.adapters,
              help="Completes it wrongly (default: the adapter in use).")  # fmt: skip
@click.option("--good", metavar="ID|none", shell_complete=shell_completion.adapters_or_none,
              help="Completed it well (default: none, the base model).")  # fmt: skip
@click.option("--at", metavar="COMMIT", help="Complete as of COMMIT.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_bisect(
    host: Host, /, location: str, bad: str | None, good: str | None, at: str | None, as_json: bool
) -> int:
    """Find the adapter since which a place is completed as it is now.

    Adapters in between that were deleted or are damaged are passed over.
    """
    state = known_repository().state_dir
    bad = bad or adapter_store.current_adapter(state)
    if bad is None:
        raise CopilotError("no adapter is in use", "name one with --bad")
    row = _row(state, good or adapter_store.NONE, bad)
    asked: dict[str, str] = {}

    def text(adapter: str) -> str:
        if adapter not in asked:
            host.terminal.note(f"completing with {adapter}")
            request = CompleteRequest(
                location, host.terminal.cwd, adapter=adapter, at=at, patient=True
            )
            answer = host.service.complete(request, Callbacks(host.terminal.note))
            asked[adapter] = answer.completion
        return asked[adapter]

    change = find_change(row, text)
    facts = {
        "first_bad": change.first_bad,
        "last_good": change.last_good,
        "commits": _learnt(state, change.first_bad),
        "completions": {name: asked[name] for name in (change.last_good, change.first_bad)},
        "asked": change.asked,
    }
    _print(host, facts, as_json=as_json)
    return 0


def find_change(row: Sequence[str], text: Callable[[str], str]) -> Change:
    """Halve ``row`` until the adapters before and behind a change are neighbours. Pure.

    :param row: adapters, oldest first; the first is good and the last is bad.
    :param text: what an adapter completes.
    :raises CopilotError: both ends complete alike.
    """
    wrong = text(row[-1])
    if text(row[0]) == wrong:
        raise CopilotError(
            f"{row[0]} and {row[-1]} complete this place alike",
            "name another adapter with --good, or another place",
        )
    low, high, asked = 0, len(row) - 1, 2
    while high - low > 1:
        middle = (low + high) // 2
        asked += 1
        if text(row[middle]) == wrong:
            high = middle
        else:
            low = middle
    return Change(row[high], row[low], asked)


def _row(state: Path, good: str, bad: str) -> list[str]:
    """The adapters from ``good`` to ``bad`` that were in use or promoted, oldest first.

    :raises CopilotError: one of both is not there, or is the newer one.
    """
    for name in (good, bad):
        if name != adapter_store.NONE:
            adapter_store.adapter_path(state, name)
    model = adapter_store.base_model(state, bad)
    used = set(adapter_store.history(state))
    between = [
        record.id
        for record in adapter_store.list_adapters(state)
        if (record.promoted or record.id in used)
        and record.base_model == model
        and (good == adapter_store.NONE or record.id > good)
        and record.id < bad
        and _is_whole(state, record.id)
    ]
    if good != adapter_store.NONE and good >= bad:
        raise CopilotError(f"{good} is not older than {bad}", "exchange --good and --bad")
    return [good, *between, bad]


def _is_whole(state: Path, adapter: str) -> bool:
    try:
        adapter_store.adapter_path(state, adapter)
    except CopilotError:
        return False
    return True


def _learnt(state: Path, adapter: str) -> list[str]:
    """The oldest and the newest commit that an adapter learnt from."""
    spans = adapter_store.record_of(state, adapter).commits or {}
    return list(spans.get("train", []))


def _print(host: Host, facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        host.terminal.echo(json.dumps(facts))
        return
    echo = host.terminal.echo
    commits = "..".join(oid[:12] for oid in facts["commits"])
    echo(f"{facts['first_bad']} is the first{f', which learnt from {commits}' if commits else ''}")
    for name, completion in facts["completions"].items():
        echo(f"{name}:")
        for line in completion.split("\n"):
            echo(f"    {line}")
