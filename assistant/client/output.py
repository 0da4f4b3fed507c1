"""Prints the answers of the service: the same lines whether this process or a server answered.

Standard library only, and `typing` and the terminal only where somebody looks: an editor that
reads a pipe gets its answer without their import time.
"""

from __future__ import annotations

import json
import os
import sys

from git_copilot.index.core.errors import error_json

TYPE_CHECKING = False  # importing typing takes a millisecond or two
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Protocol

    from git_copilot.assistant.api.json_types import CompletionJson, SearchJson

    class Output(Protocol):
        """What is printed to: a Terminal, or a Pipe."""

        def echo(self, line: str) -> None: ...
        def echo_block(self, text: str) -> None: ...
        def note(self, text: str) -> None: ...
        def name(self, path: str) -> str: ...
        def heading(self, text: str) -> str: ...
        @property
        def looked_at(self) -> bool: ...


SEPARATOR = "----"


class Pipe:
    """Standard output and error of this process where neither is a terminal: bytes pass as they
    are."""

    looked_at = False

    def echo(self, line: str) -> None:
        """Write one line to stdout."""
        self._write(sys.stdout, line)

    echo_block = echo

    def note(self, text: str) -> None:
        """Tell the user something on stderr."""
        self._write(sys.stderr, f"git-copilot: {text}")

    def name(self, path: str) -> str:
        """A file's name."""
        return path

    def heading(self, text: str) -> str:
        """A line that stands out."""
        return text

    @staticmethod
    def _write(stream: Any, text: str) -> None:
        stream.buffer.write(f"{text}\n".encode("utf-8", "surrogateescape"))
        stream.buffer.flush()


def standard_output() -> Output:
    """The output of this process, as light as it can be."""
    if sys.stdout.isatty() or sys.stderr.isatty():
        from git_copilot.assistant.core.terminal import Terminal

        return Terminal.of_process()
    return Pipe()


def print_completion(
    output: Output, answer: CompletionJson, why_empty: str | None, *, as_json: bool
) -> None:
    """Print a completion.

    :param why_empty: what a person is told in place of an empty one.
    """
    if as_json:
        output.echo(json.dumps(answer))
        return
    text = f"\n{SEPARATOR}\n".join(answer.get("candidates", [answer["completion"]]))
    if text.strip():
        output.echo_block(text)
    elif why_empty is not None and output.looked_at:
        output.note(f"no completion: {why_empty}")


def print_search(
    output: Output,
    answer: SearchJson,
    texts: Iterable[str],
    *,
    query: str,
    root: str | None,
    cwd: str,
    as_json: bool,
) -> None:
    """Print what a search found.

    :param texts: of the hits, in their order; not read for JSON.
    :param root: the top of the worktree (``None``: a bare repository).
    :param cwd: the reader's folder, which paths are shown relative to.
    """
    if as_json:
        output.echo(json.dumps(answer))
        return
    if not answer["hits"]:
        output.note(f"nothing found for {query!r}")
    prefix = path_to_top(root, cwd)
    for hit, text in zip(answer["hits"], texts, strict=True):
        path = output.name(prefix + hit["path"])
        output.echo(output.heading(f"{path}:{hit['start_line']}"))
        for number, line in enumerate(text.rstrip("\n").split("\n"), hit["start_line"]):
            output.echo(f"{number:>6}  {line}")
        output.echo("")


def path_to_top(root: str | None, cwd: str) -> str:
    """The beginning of relative paths from a folder of the worktree to its top (``../../``); empty
    at the top, outside of it and without a worktree."""
    if root is None:
        return ""
    here = os.path.realpath(cwd)
    if os.path.commonpath([root, here]) != root:
        return ""
    relative = os.path.relpath(root, here)
    return "" if relative == "." else f"{relative}/"


def print_feedback(output: Output, answer: dict[str, str | None], *, as_json: bool) -> None:
    """Print what was recorded."""
    if as_json:
        output.echo(json.dumps(answer))
    elif answer["path"] is not None:
        output.echo(f"{answer['outcome']}: {answer['path']}")


def print_failure(output: Output, error: Any, argv: Sequence[str]) -> int:
    """Tell a failure on stderr, and as an object on stdout where ``argv`` wants JSON; its exit
    code.

    :param error: see :class:`~git_copilot.assistant.api.json_types.ErrorJson`.
    """
    from git_copilot.index.core.errors import wants_json

    message, hint, code = str(error["message"]), str(error["hint"]), int(error["exit_code"])
    output.note(f"{message}; {hint}" if hint else message)
    if wants_json(argv):
        output.echo(error_json(message, hint, code, error.get("log")))
    return code
