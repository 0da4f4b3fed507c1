"""The command line: parse, call, print. Commands live in ``commands/``, imported when called."""

from __future__ import annotations

import contextlib
import importlib
import sys
import warnings
from dataclasses import dataclass
from typing import Any, TextIO, cast

import click

from git_copilot.assistant.core.error_handler import package_version, run_guarded
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.service.service import Service

# Command to module: one import per call, so that `status` never waits for torch.
COMMANDS = (
    "init", "install", "uninstall", "hooks", "complete", "context", "search", "feedback", "stats", "status",
    "index", "corpus", "refresh", "adapter", "eval", "forget", "secrets", "model", "serve", "doctor",
    "config", "completion", "lsp",
    "editor",
)  # fmt: skip
# Commands that do not have a module of their own.
MODULES = {"install": "hooks", "uninstall": "hooks"}


@dataclass(slots=True)
class Host:
    """The context of a command. ``stdin`` is standard input, where it was read already."""

    terminal: Terminal
    service: Service
    stdin: bytes | None = None

    def read_stdin(self) -> bytes:
        """The buffer given with ``--stdin``."""
        return self.stdin if self.stdin is not None else self.terminal.stdin()


class Commands(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        room = "git_copilot.assistant.cli.commands"
        module = importlib.import_module(f"{room}.{MODULES.get(name, name)}")
        command = getattr(module, f"{name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command {args[0]!r}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None  # click would write an empty line first


@click.group(
    "git copilot",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`git help copilot` opens the manual.",
)
@click.version_option(package_version(), "--version", prog_name="git-copilot")
def root() -> None:
    """Code completion that lives in this Git repository and learns from it."""


def dispatch(
    argv: list[str], terminal: Terminal, service: Service, stdin: bytes | None = None
) -> int | None:
    """Run one command line; errors are raised."""
    host = Host(terminal, service, stdin)
    result = root.main(args=argv, prog_name="git copilot", standalone_mode=False, obj=host)
    return result if isinstance(result, int) else None


def run(argv: list[str], stdin: bytes | None = None) -> int:
    """Run a command line in this process and return its exit code."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # the libraries' remarks are for us, not for users
    terminal = Terminal.of_process()
    service = Service()
    # Whatever else is printed (click's help, a library's warning) goes the same way.
    with (
        contextlib.redirect_stdout(cast(TextIO, terminal.out)),
        contextlib.redirect_stderr(cast(TextIO, terminal.err)),
    ):
        code = run_guarded(lambda: _run_all(argv, terminal, service, stdin), terminal, argv)
        service.close()
    return code


def _run_all(
    argv: list[str], terminal: Terminal, service: Service, stdin: bytes | None
) -> int | None:
    """Run a command and, once its output is flushed, its deferred actions."""
    code = dispatch(argv, terminal, service, stdin)
    terminal.out.flush()
    for action in service.session.take_deferred():
        action()
    return code
