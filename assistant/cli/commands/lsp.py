"""``lsp``: the language server of editors."""

from __future__ import annotations

import click


@click.command("lsp")
@click.option("--stdio", is_flag=True, help="Talk on standard input and output (the default).")
@click.option("--clientProcessId", "client_process", type=int, hidden=True)
def lsp_command(stdio: bool, client_process: int | None) -> int:
    """Serve an editor: inline completion by the language server protocol on standard input and
    output. Editors start it; see docs/editors.md."""
    from git_copilot.assistant.lsp.main import serve_stdio

    return serve_stdio()
