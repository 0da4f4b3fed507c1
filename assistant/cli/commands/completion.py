"""``completion``: prints completion scripts for shells, and answers their questions."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import ShellComplete

from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host, root

SCRIPTS = {"bash": "completion.bash", "zsh": "completion.zsh", "fish": "completion.fish"}


@click.command("completion")
@click.argument(
    "shell", nargs=-1, metavar="|".join(SCRIPTS), shell_complete=shell_completion.of(SCRIPTS)
)
@click.option("--words", is_flag=True, hidden=True)
@click.pass_obj
def completion_command(host: Host, /, shell: tuple[str, ...], words: bool) -> int:
    """Print a script that completes this program's commands, options and names in a shell.

    For `git copilot` as well, where git's own completion is loaded. In ~/.bashrc or ~/.zshrc:
    eval "$(git copilot completion bash)", for fish: git copilot completion fish | source
    """
    if words:
        for line in _answer(list(shell) or [""]):
            host.terminal.echo(line)
        return 0
    if len(shell) != 1 or shell[0] not in SCRIPTS:
        raise click.UsageError(f"name one shell: {', '.join(SCRIPTS)}")
    script = Path(__file__).with_name(SCRIPTS[shell[0]]).read_text("utf-8")
    host.terminal.echo_block(script.rstrip("\n"))
    return 0


def _answer(words: list[str]) -> list[str]:
    """A line of kind (plain, file, dir), value and help for each thing that the last word can
    become; nothing where the words before it make no sense."""
    asked = ShellComplete(root, {}, "git copilot", "")
    try:
        found = asked.get_completions(words[:-1], words[-1])
    except click.ClickException:
        return []
    return ["\t".join((x.type, x.value, " ".join((x.help or "").split()))) for x in found]
