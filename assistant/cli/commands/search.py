"""``search``: run by the warm server, where one runs, or here."""

from __future__ import annotations

import click

from git_copilot.assistant.api.requests import MAX_HITS, SearchRequest, readable_query
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.client.output import print_search
from git_copilot.assistant.completion.callbacks import Callbacks


@click.command("search")
@click.argument("query", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the hits as one JSON object.")
@click.option(
    "-n", "count", type=click.IntRange(1, MAX_HITS), default=10, help="Number of hits to return."
)
@click.pass_obj
def search_command(host: Host, /, query: tuple[str, ...], as_json: bool, count: int) -> int:
    """Find code of this repository by words, by meaning and by defined name."""
    text = readable_query(" ".join(query))
    # GIT_DIR counts in this process, so no folder is named.
    request = SearchRequest(text, count=count)
    answer = host.service.search(request, Callbacks(host.terminal.note))
    print_search(
        host.terminal,
        answer.to_json(),
        (hit.text for hit in answer.hits),
        query=text,
        root=None if answer.root is None else str(answer.root),
        cwd=str(host.terminal.cwd),
        as_json=as_json,
    )
    return 0
