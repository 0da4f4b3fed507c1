"""Writes the corpus as rows that Hugging Face ``datasets`` loads: JSON lines or Parquet.

Three shapes, every value a string: holes as the three parts of their blob, training texts
(``rendered``), and whole files with the columns of the Personal Copilot data set (``repository``,
``path``, ``content``). What looks like a secret is masked in all of them, and no hole is taken
from a line with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.core.config import Settings
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
from git_copilot.index.core.types import Progress, no_progress
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import Database


@dataclass(frozen=True, slots=True)
class Order:
    """What to export: holes of commits, files of HEAD's tree, or (``rendered`` only) both;
    ``since`` leaves out commits whose author's time (seconds since 1970) is before it."""

    source: str = COMMITS
    rendered: bool = False
    since: int | None = None

    def __post_init__(self) -> None:
        """:raises CopilotError: the parts do not go together."""
        if self.source not in SOURCES:
            raise CopilotError(f"{self.source!r} is no source", f"there are {', '.join(SOURCES)}")
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
        """What a row is."""
        if self.rendered:
            return "texts"
        return "files" if self.source == SNAPSHOT else "holes"


def check_target(out: Path) -> None:
    """Fail for what is wrong with ``out`` before anything is read.

    :raises CopilotError: it is a folder, has another suffix, or lies in no folder.
    """
    if out.is_dir():
        raise CopilotError(f"{out} is a folder", "name a file, such as corpus.jsonl")
    if out.suffix not in (".jsonl", ".parquet"):
        raise CopilotError(f"{out} is neither .jsonl nor .parquet", "name one of them")
    if not out.parent.is_dir():
        raise CopilotError(f"there is no folder {out.parent}", "make it first")


def export_corpus(
    repo: GitRepository,
    db: Database,
    settings: Settings,
    out: Path,
    order: Order,
    *,
    progress: Progress = no_progress,
) -> int:
    """Write what ``order`` names to ``out`` (``.jsonl`` or ``.parquet``) and return how many rows
    that is. The file appears whole or not at all.

    Holes count whose commit HEAD or some ref still reaches. Memory holds one group of rows.

    :raises CopilotError: ``out`` cannot be written, pyarrow is missing for Parquet, or the model
        for rendered text.
    """
    check_target(out)
    return write_rows(out, order.columns, _rows(repo, db, settings, order, progress))


def _rows(
    repo: GitRepository, db: Database, settings: Settings, order: Order, progress: Progress
) -> Iterator[Row]:
    if order.rendered:
        from git_copilot.assistant.dataset.render import rendered_rows

        return rendered_rows(repo, db, settings, order.source, since=order.since, progress=progress)
    if order.source == SNAPSHOT:
        return file_rows(repo, db, progress)
    return hole_rows(repo, db, since=order.since, progress=progress)
