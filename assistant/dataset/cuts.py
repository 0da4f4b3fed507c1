"""The texts of holes: blobs cut at them, as they stand or in the form in which they were typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from git_copilot.assistant.dataset.typed_form import (
    Parent,
    is_paired,
    is_typed,
    read_patches,
    typed_parts,
)
from git_copilot.assistant.postprocess.pairs import ClosedPairs, closers_behind
from git_copilot.assistant.prompt.location import WINDOW_BYTES
from git_copilot.index.core.types import FINISHED, Hole
from git_copilot.index.git.history import FilePatch
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.secrets.redaction import redact_bytes
from git_copilot.index.store.allowed_lines import allowed_in

BLOB_BATCH = 200


@dataclass(frozen=True, slots=True)
class Cut:
    """A hole with its text: the blob cut at it, line ends as ``\\n``.

    ``closers`` stand between the cursor and ``suffix`` where an editor has closed pairs; ``middle``
    closes them itself, and goes on to the end of its line.
    """

    hole: Hole
    prefix: str
    middle: str
    suffix: str
    closers: str = ""

    def inside(self, text: str) -> str:
        """What is shown of ``text``: with closers, what fits between them and the cursor."""
        if not self.closers:
            return text
        pairs = ClosedPairs(self.prefix, self.closers + self.suffix, self.hole.path)
        return pairs.inside(text)

    def as_served(self) -> Cut:
        """With the closers that stand right of the cursor apart from the suffix."""
        closers = closers_behind(self.prefix, self.suffix, self.hole.path)
        if self.closers or not closers:
            return self
        suffix = self.suffix[len(closers) :]
        return replace(self, middle=self.middle + closers, suffix=suffix, closers=closers)


def cut_blob(data: bytes, hole: Hole) -> Cut:
    """Cut a blob at a hole as :func:`~git_copilot.assistant.prompt.location.cut_document` cuts a file.

    :raises UnicodeDecodeError: the blob is not UTF-8 (mining skips such blobs).
    """
    before = data[max(0, hole.start - WINDOW_BYTES) : hole.start]
    after = data[hole.end : hole.end + WINDOW_BYTES]
    if hole.start > WINDOW_BYTES:  # begin at a whole line, hence at a whole character
        before = before[before.find(b"\n") + 1 :]
    else:
        before = before.removeprefix(b"\xef\xbb\xbf")
    if len(after) == WINDOW_BYTES:
        after = after[: after.rfind(b"\n") + 1]
    middle = data[hole.start : hole.end]
    return Cut(hole, *(x.decode("utf-8").replace("\r\n", "\n") for x in (before, middle, after)))


def read_cuts(repo: GitRepository, holes: Sequence[Hole], form: str = FINISHED) -> list[Cut]:
    """The texts of ``holes``, in order, with secrets masked; holes whose blob is gone or no longer
    fits are left out.

    :param form: one of :data:`~git_copilot.index.core.types.FORMS`. A hole that its
        commit's patch does not explain stays finished.
    """
    found: list[Cut] = []
    for begin in range(0, len(holes), BLOB_BATCH):
        batch = holes[begin : begin + BLOB_BATCH]
        typed = [hole for hole in batch if is_typed(hole, form)]
        reader = _Reader(repo, batch, read_patches(repo, typed) if typed else {})
        for hole in batch:
            with suppress(UnicodeDecodeError):
                cut = reader.cut(hole, typed=is_typed(hole, form))
                if cut is not None:
                    found.append(cut)
    return found


class _Reader:
    """The blobs of some holes and of their parents."""

    def __init__(
        self,
        repo: GitRepository,
        holes: Sequence[Hole],
        patches: Mapping[tuple[str, str], FilePatch],
    ) -> None:
        self._allowed, self._patches = allowed_in(repo), patches
        old = [patch.old_blob for patch in patches.values() if not patch.created]
        self._blobs = dict(repo.blobs(dict.fromkeys([*(hole.blob for hole in holes), *old])))
        self._masked: dict[tuple[str, str], bytes] = {}
        self._parents: dict[tuple[str, str], Parent | None] = {}

    def cut(self, hole: Hole, *, typed: bool) -> Cut | None:
        """:raises UnicodeDecodeError: the blob is not UTF-8."""
        data = self._read(hole.blob, hole.path)
        if data is None or not 0 <= hole.start < hole.end <= len(data):
            return None
        cut = cut_blob(data, hole)
        parent = self._parent(hole) if typed else None
        if parent is None:
            return cut
        middle, suffix, closers = typed_parts(
            cut.prefix,
            cut.middle + cut.suffix,
            parent,
            hole.path,
            line=data.count(b"\n", 0, hole.start) + 1,
            size=len(cut.middle),
            paired=is_paired(hole),
        )
        if not middle.strip():
            return cut
        return replace(cut, middle=middle, suffix=suffix[:WINDOW_BYTES], closers=closers)

    def _read(self, blob: str, path: str) -> bytes | None:
        key = (blob, path)
        data = self._blobs.get(blob)
        if data is not None and key not in self._masked:
            self._masked[key] = redact_bytes(data, path, self._allowed)
        return self._masked.get(key)

    def _parent(self, hole: Hole) -> Parent | None:
        key = (hole.commit, hole.path)
        patch = self._patches.get(key)
        if patch is None or patch.opaque:
            return None
        if key not in self._parents:
            data = b"" if patch.created else self._read(patch.old_blob, patch.old_path)
            try:
                text = None if data is None else data.decode("utf-8").replace("\r\n", "\n")
            except UnicodeDecodeError:
                text = None
            self._parents[key] = None if text is None else Parent.of(text, patch)
        return self._parents[key]
