"""``complete``: run by the warm server, or here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.api.requests import MAX_CANDIDATES, MAX_TOKENS, CompleteRequest
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.client import address, transport
from git_copilot.assistant.client.output import print_completion
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.request import Place, find_place, model_name
from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.core.error_handler import ServiceError
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.escaping import quote_path
from git_copilot.index.git.trust import require_trusted
from git_copilot.index.store.database import DATABASE_NAME, Database

if TYPE_CHECKING:
    from git_copilot.assistant.api.json_types import CompletionJson, ExplanationJson


@click.command("complete")
@click.argument("location", metavar="FILE:LINE[:COL]", shell_complete=shell_completion.files)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the unsaved buffer from stdin.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object.")
@click.option("--explain", is_flag=True, help="Explain where the completion came from.")
@click.option(
    "--max-tokens", type=click.IntRange(1, MAX_TOKENS), help="Longest completion, in tokens."
)
@click.option("--no-retrieval", is_flag=True, help="Do not use snippets from other files.")
@click.option("--adapter", metavar="ID|none", help="Use this adapter instead of the current one.",
              shell_complete=shell_completion.adapters_or_none)  # fmt: skip
@click.option("--model", metavar="NAME", help="Use this model instead of the configured one.",
              shell_complete=shell_completion.completion_models)  # fmt: skip
@click.option("--at", metavar="COMMIT", help="Complete as of COMMIT.")
@click.option(
    "-n",
    "count",
    type=click.IntRange(1, MAX_CANDIDATES),
    default=1,
    help="Number of candidates to return.",
)
@click.option("--write", is_flag=True, help="Insert the completion into the file.")
@click.option(
    "--no-server", is_flag=True, help="Do not use the server; load the model in this process."
)
@click.pass_obj
def complete_command(host: Host, /, **options: Any) -> int:
    """Print the code that belongs at FILE:LINE[:COL].

    Lines and columns count from 1; the column counts characters and defaults to the end of the
    line.
    """
    if options["write"] and (options["from_stdin"] or options["at"]):
        raise click.UsageError("--write needs the file itself: no --stdin, no --at")
    request = CompleteRequest(
        location=options["location"],
        cwd=host.terminal.cwd,
        text=host.read_stdin() if options["from_stdin"] else None,
        max_tokens=options["max_tokens"],
        retrieval=not options["no_retrieval"],
        adapter=options["adapter"],
        model=options["model"],
        at=options["at"],
        count=options["count"],
        patient=True,
        explain=options["explain"],
    )
    place = find_place(request)
    if options["write"] and place.notebook:
        raise CopilotError(
            f"--write does not change notebooks such as {place.notebook}",
            "insert the completion in your editor",
        )
    if options["write"]:
        # Send exactly the bytes that --write compares with the file before it replaces them.
        request = replace(request, text=place.data)
    reply = None if options["no_server"] else _ask_server(host, place, request)
    if reply is None:
        answer = host.service.complete(request, Callbacks(host.terminal.note), place)
        reply = Reply(answer.to_json(), answer.why_empty, answer.explanation.to_json())
    if options["write"]:
        from git_copilot.assistant.completion.write_file import write_completion

        write_completion(place, reply.answer["completion"])
    _print(host, reply, as_json=options["as_json"], explain=options["explain"])
    return 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as this process or a server gives it; ``explanation`` where it was asked for."""

    answer: CompletionJson
    why_empty: str | None
    explanation: ExplanationJson | None


def _check_ready(place: Place, request: CompleteRequest) -> Settings:
    """Fail for what the user can correct before anything is started."""
    assert place.repo is not None  # that of a location
    require_trusted(place.repo.state_dir)
    Database(place.repo.state_dir / DATABASE_NAME).close()
    settings = load_settings(place.repo)
    if not settings.endpoint:
        resolve_model(model_name(request, place, settings))
    if request.adapter not in (None, "none"):
        adapter_store.adapter_path(place.repo.state_dir, str(request.adapter))
    return settings


def _ask_server(host: Host, place: Place, request: CompleteRequest) -> Reply | None:
    """Let a server answer, started if there is none; ``None``: answer in this process.

    :raises CopilotError: what the server says is wrong.
    """
    settings = _check_ready(place, request)
    if not settings.server or not transport.may_ask():
        return None
    reply: Any = transport.ask_for_work("complete", request.to_json())
    if reply is None and _start_server(host, settings):
        reply = transport.ask_for_work("complete", request.to_json())
    if reply is None:
        return None
    for note in reply["notes"]:
        host.terminal.note(note)
    if "error" in reply:
        raise ServiceError(**reply["error"])
    return Reply(reply["answer"], reply["why_empty"], reply.get("explain"))


def _start_server(host: Host, settings: Settings) -> bool:
    """Start a server; whether one answers."""
    from git_copilot.assistant.client.server_log import log_path
    from git_copilot.assistant.server.launch import start_server

    try:
        address.secure_runtime_dir()
        started = start_server()
    except OSError as exc:
        why = f"{exc.filename} {exc.strerror}" if exc.filename else exc.strerror
        host.terminal.note(f"no server could be started: {why}; continuing without one")
        return False
    pid = transport.wait_for_server(transport.START_SECONDS)
    if pid is None:
        host.terminal.note(f"the server did not start (see {log_path()}); continuing without one")
        return False
    if pid == started:  # else one that another call started at the same time was first
        host.terminal.note(
            f"started a server (pid {pid}) that keeps the model warm; it stops after "
            f"{settings.server_idle // 60} idle minutes, or with `git copilot serve --stop`"
        )
    return True


def _print(host: Host, reply: Reply, *, as_json: bool, explain: bool) -> None:
    terminal, answer, explanation = host.terminal, reply.answer, reply.explanation
    if as_json and explain and explanation is not None:
        answer = {**answer, "explain": explanation}
    print_completion(terminal, answer, reply.why_empty, as_json=as_json)
    if explain and explanation is not None and not as_json:
        for line in explain_lines(answer, explanation, quote_path if terminal.err.screen else str):
            terminal.tell(line)


def explain_lines(
    fields: CompletionJson, more: ExplanationJson, name: Callable[[str], str] = str
) -> list[str]:
    """The explanation for a person.

    :param name: how to write a file's name.
    """
    times = fields["timings_ms"]
    index = fields["index"]
    lines = [
        f"id        {fields['id']}",
        f"model     {fields['model']}, adapter {fields['adapter'] or 'none'}, {more['mode']}",
        f"index     tree {index['tree'][:12]}, {'fresh' if index['fresh'] else 'not fresh'}",
        f"prompt    {fields['prompt_tokens']} tokens, {fields['cached_tokens']} from the cache"
        + (f", {more['healed']!r} rewritten" if more["healed"] else "")
        + (f", {more['left_out']} more left out for copilot.latencyMs" if more["left_out"] else ""),
        f"finish    {fields['finish_reason']}"
        + (f" by {more['trim_rule']}" if more["trim_rule"] else "")
        + (" by copilot.timeLimitMs" if more["out_of_time"] else ""),
        f"time      retrieve {times['retrieve']:g}, prefill {times['prefill']:g}, "
        f"decode {times['decode']:g}, total {times['total']:g} ms",
    ]
    for snippet in fields["snippets"]:
        lines.append(
            f"snippet   {name(snippet['path'])}:{snippet['start_line']}-{snippet['end_line']}  "
            f"{snippet['tokens']} tokens, {'+'.join(snippet['sources'])}, {snippet['score']:.4f}"
        )
    if not fields["snippets"]:
        lines.append(f"snippet   none ({more['found']} found; none fits or none is new)")
    for path, count in more["copied"].items():
        lines.append(f"copied    {count} tokens copied from {name(path)}")
    if more["instead_of"] is not None:
        lines.append(f"instead of the greedy line {more['instead_of']!r}")
    if more["tried"]:
        lines.append(f"tried     {more['tried']} more tokens in search of a likelier line")
    for each in more["proposals"]:
        sure = "" if each["confidence"] is None else f"{each['confidence']:.0%}"
        faults = f"  breaks {', '.join(each['faults'])}" if each["faults"] else ""
        lines.append(f"proposal  {sure:>3}  {each['text']!r}{faults}")
    if fields.get("reason"):
        lines.append(f"nothing   {fields['reason']}")
    return [*lines, "prompt text:", *(f"  | {x}" for x in more["prompt"].split("\n"))]
