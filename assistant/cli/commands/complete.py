"""``complete``: run here, or in the warm server."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.completion.answer import Answer
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import Place, Request, find_place, model_name
from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.server import address, client
from git_copilot.index.core.escaping import quote_path
from git_copilot.index.git.trust import require_trusted
from git_copilot.index.store.database import DATABASE_NAME, Database

SEPARATOR = "----"
START_SECONDS = 20.0


@click.command("complete")
@click.argument("location", metavar="FILE:LINE[:COL]", shell_complete=shell_completion.files)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the unsaved buffer from stdin.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON object.")
@click.option("--explain", is_flag=True, help="Say where the completion came from.")
@click.option("--max-tokens", type=click.IntRange(1, 2048), help="Longest completion, in tokens.")
@click.option("--no-retrieval", is_flag=True, help="Use no snippets of other files.")
@click.option("--adapter", metavar="ID|none", help="Use this adapter instead of the current one.",
              shell_complete=shell_completion.adapters_or_none)  # fmt: skip
@click.option("--model", metavar="NAME", help="Use this model instead of the configured one.",
              shell_complete=shell_completion.completion_models)  # fmt: skip
@click.option("--at", metavar="COMMIT", help="Answer as at an older commit.")
@click.option("-n", "count", type=click.IntRange(1, 16), default=1, help="So many candidates.")
@click.option("--write", is_flag=True, help="Put the completion into the file.")
@click.option("--no-server", is_flag=True, help="Load the model in this process.")
@click.pass_obj
def complete_command(host: Host, /, **options: Any) -> int:
    """Print the code that belongs at FILE:LINE[:COL].

    Lines and columns count from 1; the column counts characters and defaults to the end of the
    line.
    """
    if options["write"] and (options["from_stdin"] or options["at"]):
        raise click.UsageError("--write needs the file itself: no --stdin, no --at")
    request = Request(
        location=options["location"],
        cwd=host.terminal.cwd,
        text=host.read_stdin() if options["from_stdin"] else None,
        max_tokens=options["max_tokens"],
        retrieval=not options["no_retrieval"],
        adapter=options["adapter"],
        model=options["model"],
        at=options["at"],
        count=options["count"],
        patient=not host.in_server,
    )
    place = find_place(request)
    if not options["no_server"]:
        settings = _check_ready(place, request)
        code = _through_server(host, settings, request.text)
        if code is not None:
            return code
    answer = complete(
        request,
        place,
        host.session,
        note=host.terminal.note,
        cancelled=host.terminal.cancelled,
        on_text=host.terminal.on_text,
    )
    if options["write"]:
        from git_copilot.assistant.completion.write_file import write_completion

        write_completion(answer)
    _print_answer(host, answer, as_json=options["as_json"], explain=options["explain"])
    return 0


def _check_ready(place: Place, request: Request) -> Settings:
    """Fail for what the user can mend before anything is started."""
    require_trusted(place.repo.state_dir)
    Database(place.repo.state_dir / DATABASE_NAME).close()
    settings = load_settings(place.repo)
    if not settings.endpoint:
        resolve_model(model_name(request, place, settings))
    if request.adapter not in (None, "none"):
        adapter_store.adapter_path(place.repo.state_dir, str(request.adapter))
    return settings


def _through_server(host: Host, settings: Settings, stdin: bytes | None) -> int | None:
    """Start a server and let it answer; ``None``: answer in this process."""
    if host.in_server or not settings.server or not client.can_be_served(host.argv):
        return None
    from git_copilot.assistant.server.launch import start_server
    from git_copilot.assistant.server.log import log_path

    try:
        address.secure_runtime_dir()
        started = start_server()
    except OSError as exc:
        why = f"{exc.filename} {exc.strerror}" if exc.filename else exc.strerror
        host.terminal.note(f"no server could be started: {why}; working without")
        return None
    pid = client.wait_for_server(START_SECONDS)
    if pid is None:
        host.terminal.note(f"the server did not start (see {log_path()}); working without")
        return None
    if pid == started:  # else one that another call started at the same time was first
        host.terminal.note(
            f"started a server (pid {pid}) that keeps the model warm; it stops after "
            f"{settings.server_idle // 60} idle minutes, or with `git copilot serve --stop`"
        )
    return client.ask_server(host.argv, stdin)


def _print_answer(host: Host, answer: Answer, *, as_json: bool, explain: bool) -> None:
    terminal = host.terminal
    if as_json:
        fields = answer.fields
        if explain:
            fields = {**fields, "explain": answer.explanation}
        terminal.echo(json.dumps(fields))
        return
    text = f"\n{SEPARATOR}\n".join(answer.fields.get("candidates", [answer.completion]))
    if text.strip() or not terminal.out.screen:
        terminal.echo_block(text)
    elif not answer.explanation["out_of_time"]:  # which was told
        terminal.note(f"no completion: {_why_empty(answer)}")
    if explain:
        for line in explain_lines(answer, quote_path if terminal.err.screen else str):
            terminal.tell(line)


def _why_empty(answer: Answer) -> str:
    if answer.completion:
        return "the model wrote white space only"
    rule = answer.explanation["trim_rule"]
    if rule:
        return f"the rule {rule} cut all that the model wrote"
    reason = answer.fields["finish_reason"]
    return "the model had nothing to add" if reason == "stop" else f"finish_reason is {reason}"


def explain_lines(answer: Answer, name: Callable[[str], str] = str) -> list[str]:
    """The explanation for a person.

    :param name: how to write a file's name.
    """
    fields, more = answer.fields, answer.explanation
    times = fields["timings_ms"]
    index = fields["index"]
    budget, most = more["prompt_budget"]
    lines = [
        f"id        {fields['id']}",
        f"model     {fields['model']}, adapter {fields['adapter'] or 'none'}, {more['mode']}",
        f"index     tree {index['tree'][:12]}, {'fresh' if index['fresh'] else 'not fresh'}",
        f"prompt    {fields['prompt_tokens']} tokens, {fields['cached_tokens']} from the cache"
        + (f", {more['healed']!r} written anew" if more["healed"] else "")
        + (f", of {most} no more than {budget} are read in time" if budget < most else ""),
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
        lines.append(f"snippet   none ({more['found']} found, none fitted or none was new)")
    for path, count in more["copied"].items():
        lines.append(
            f"copied    {count} tokens that the model would not have written, of {name(path)}"
        )
    if more["instead_of"] is not None:
        lines.append(f"instead   of the greedy line {more['instead_of']!r}")
    if more["tried"]:
        lines.append(f"tried     {more['tried']} tokens for a likelier line")
    return [*lines, "prompt text:", *(f"  | {x}" for x in more["prompt"].split("\n"))]
