"""``stats``: what became of completions, and how long they took."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from git_copilot.assistant.cli.main import Host
from git_copilot.index.corpus.feedback_days import KEEP_DAYS

# Long enough for characters that are followed for 30 days after their commit.
DEFAULT_DAYS = 90


@click.command("stats")
@click.option(
    "--days", metavar="N", type=click.IntRange(1, KEEP_DAYS), default=DEFAULT_DAYS,
    help="Completions shown in the last N days (90).",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def stats_command(host: Host, /, days: int, as_json: bool) -> int:
    """Show how many completions were shown and accepted, how much of them is retained, and how long
    they took: in total, by language, by model and by adapter.

    Everything is counted in this repository and stays on this machine.
    """
    facts = host.service.acceptance(days=days)
    if as_json:
        host.terminal.echo(json.dumps(facts))
        return 0
    if not facts["shown"]:
        off = "" if facts["recorded"] else "; copilot.feedback is false, so none is recorded"
        host.terminal.echo(f"no completions were shown in the last {_days(days)}{off}")
        return 0
    for line in (*_summary(facts), *_tables(facts)):
        host.terminal.echo(line)
    if not facts["recorded"]:
        host.terminal.note("copilot.feedback is false, so new completions are not counted")
    return 0


def _days(days: int) -> str:
    return "day" if days == 1 else f"{days} days"


def _summary(facts: dict[str, Any]) -> Iterator[str]:
    """What is known of all completions."""
    said = facts["characters"]
    yield f"completions of the last {_days(facts['days'])}"
    yield f"  shown       {facts['shown']:>9,}   {facts['automatic']:,} of them automatic"
    yield f"  accepted    {facts['accepted']:>9,}"
    yield f"  typed       {facts['typed']:>9,}   the user typed the same text"
    yield f"  partly      {facts['partial']:>9,}   accepted by word or line"
    yield f"  edited      {facts['edited']:>9,}"
    yield f"  rejected    {facts['rejected']:>9,}"
    yield f"  taken       {_percent(facts['acceptance_rate']):>9}   accepted, partly accepted or edited"
    if facts["inferred"]:
        yield f"  inferred    {facts['inferred']:>9,}   outcomes that no editor reported"
    yield "characters"
    yield f"  shown       {said['shown']:>9,}"
    yield f"  accepted    {said['accepted']:>9,}"
    yield f"  at commit   {_percent(said['at_commit']['share']):>9}{_of(said['at_commit'])}"
    yield f"  30 days on  {_percent(said['after_30_days']['share']):>9}{_of(said['after_30_days'])}"
    yield "latency"
    yield f"  p50 ms      {_number(facts['latency_ms']['p50']):>9}"
    yield f"  p90 ms      {_number(facts['latency_ms']['p90']):>9}"


def _of(retained: dict[str, Any]) -> str:
    """Of how many characters a share is."""
    if not retained["of"]:
        return ""
    return f"   {retained['characters']:,} of {retained['of']:,}"


NAME_WIDTH = 15
_WIDTHS = {
    "shown": 7, "taken": 7, "characters": 12, "at commit": 11, "30 days on": 12, "p50 ms": 8, "p90 ms": 8,
}  # fmt: skip


def _tables(facts: dict[str, Any]) -> Iterator[str]:
    """The figures by language, model and adapter."""
    for title in ("language", "model", "adapter"):
        yield ""
        yield f"{title:<{NAME_WIDTH}}" + "".join(f"{n:>{width}}" for n, width in _WIDTHS.items())
        for each in facts[f"by_{title}"]:
            yield _row(each[title] or ("none" if title == "adapter" else "unknown"), each)


def _row(name: str, facts: dict[str, Any]) -> str:
    said, latency = facts["characters"], facts["latency_ms"]
    cells = (
        f"{facts['shown']:,}",
        _percent(facts["acceptance_rate"]),
        f"{said['accepted']:,}",
        _percent(said["at_commit"]["share"]),
        _percent(said["after_30_days"]["share"]),
        _number(latency["p50"]),
        _number(latency["p90"]),
    )
    if len(name) >= NAME_WIDTH:  # a model can be a folder
        name = f"…{name[2 - NAME_WIDTH :]}"
    columns = zip(cells, _WIDTHS.values(), strict=True)
    return f"{name:<{NAME_WIDTH}}" + "".join(f"{cell:>{width}}" for cell, width in columns)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _number(latency: float | None) -> str:
    return "-" if latency is None else f"{latency:,.0f}"
