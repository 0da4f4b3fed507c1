"""Writes the corpus as rows that Hugging Face ``datasets`` loads: JSON lines or Parquet.

There are three kinds of rows, of strings only: holes as the three parts of their blob, training
texts (``rendered``), and whole files with the columns of the Personal Copilot data set
(``repository``, ``path``, ``content``). Secrets are masked, and holes on their lines left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.hole_selection import (
    COMMITS,
    SNAPSHOT,
    SOURCES,
)
from git_copilot.assistant.dataset.row_files import Row, write_rows
from git_copilot.assistant.dataset.rows import (
    FILE_COLUMNS,
    HOLE_COLUMNS,
    TEXT_COLUMNS,
    file_rows,
    hole_rows,
)
from git_copilot.index.core.errors import CopilotError


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """Holes of commits, files of HEAD's tree, or (``rendered`` only) both; ``since`` leaves out
    commits whose author's time (seconds since 1970) is before it."""

    source: str = COMMITS
    rendered: bool = False
    since: int | None = None

    def __post_init__(self) -> None:
        """:raises CopilotError: the fields exclude each other."""
        if self.source not in SOURCES:
            raise CopilotError(f"unknown source {self.source!r}", f"use {', '.join(SOURCES)}")
        if self.source not in (COMMITS, SNAPSHOT) and not self.rendered:
            raise CopilotError(
                "holes and files have different columns and cannot share a file",
                "add --rendered for training texts, or export one source at a time",
            )
        if self.since is not None and self.source == SNAPSHOT:
            raise CopilotError("files of a tree have no date", "leave out --since, or --source")

    @property
    def columns(self) -> tuple[str, ...]:
        if self.rendered:
            return TEXT_COLUMNS
        return FILE_COLUMNS if self.source == SNAPSHOT else HOLE_COLUMNS

    @property
    def unit(self) -> str:
        """What one row holds, in the plural."""
        if self.rendered:
            return "texts"
        return "files" if self.source == SNAPSHOT else "holes"


def check_target(out: Path) -> None:
    """Check ``out`` before anything is read.

    :raises CopilotError: it is a folder, has another suffix, or lies in no folder.
    """
    if out.is_dir():
        raise CopilotError(f"{out} is a folder", "name a file, such as corpus.jsonl")
    if out.suffix not in (".jsonl", ".parquet"):
        raise CopilotError(f"{out} is neither .jsonl nor .parquet", "choose one of these endings")
    if not out.parent.is_dir():
        raise CopilotError(f"the folder {out.parent} does not exist", "create it first")


def export_corpus(context: RepositoryContext, out: Path, request: ExportRequest) -> int:
    """Write the requested rows to ``out`` (``.jsonl`` or ``.parquet``) and return their number.
    The file appears whole or not at all.

    Only holes of commits that HEAD or some ref still reaches are written. Memory holds one group
    of rows.

    :raises CopilotError: ``out`` cannot be written, pyarrow is missing for Parquet, or the model
        for rendered text.
    """
    check_target(out)
    return write_rows(out, request.columns, _rows(context, request))


def _rows(context: RepositoryContext, request: ExportRequest) -> Iterator[Row]:
    if request.rendered:
        from git_copilot.assistant.dataset.render import rendered_rows

        return rendered_rows(context, request.source, since=request.since)
    if request.source == SNAPSHOT:
        return file_rows(context)
    return hole_rows(context, since=request.since)
