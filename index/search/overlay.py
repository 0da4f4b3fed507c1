"""Uncommitted files as an overlay on the index in memory: chunked and searched like committed
files, never stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from git_copilot.index.core.types import Chunk, Hit
from git_copilot.index.git.objects import blob_id
from git_copilot.index.search.chunk_table import family
from git_copilot.index.search.fusion import ChunkRef
from git_copilot.index.search.lexicon import TermCounts
from git_copilot.index.secrets.scan import hidden_lines
from git_copilot.index.text.chunking import chunk_blob
from git_copilot.index.text.classify import language_of, skip_content, to_utf8
from git_copilot.index.text.terms import terms


@dataclass(frozen=True, slots=True)
class UncommittedFile:
    """A file in the worktree or in an editor. ``blob`` is the object id that git would give its
    text; ``words`` are the term counts of each chunk."""

    path: str
    blob: str
    language: str
    chunks: tuple[Chunk, ...]
    words: tuple[TermCounts, ...]


@dataclass(frozen=True, slots=True)
class UncommittedChunk:
    """A chunk of such a file, with its reference among the committed chunks."""

    ref: ChunkRef
    file: UncommittedFile
    chunk: Chunk
    words: TermCounts


def chunk_uncommitted(
    path: str, data: bytes, object_format: str = "sha1", allowed: Container[str] = ()
) -> UncommittedFile:
    """Cut a text into chunks. Whatever the index would leave out (generated and binary files, lines
    that look like secrets) is left out here as well.

    :param object_format: the repository's hash, a value of ``extensions.objectFormat``.
    :param allowed: fingerprints of allowed lines (:mod:`.allowed_lines`).
    """
    language = language_of(path)
    chunks: list[Chunk] = []
    content = to_utf8(data)
    if skip_content(content) is None:
        hidden = hidden_lines(content, language, allowed).all
        chunks = chunk_blob(content, language, hidden)
    words = (TermCounts(Counter(terms(c.text)), c.end_byte - c.start_byte) for c in chunks)
    return UncommittedFile(
        path, blob_id(data, object_format), language, tuple(chunks), tuple(words)
    )


@dataclass(frozen=True)
class Overlay:
    """Uncommitted files by path; ``None`` for a deleted file. They hide committed files of the same
    path."""

    files: Mapping[str, UncommittedFile | None] = field(default_factory=dict)

    @property
    def paths(self) -> Iterable[str]:
        return self.files.keys()

    def state(self, exclude: str) -> frozenset[tuple[str, str]]:
        """Paths and object ids of all files but ``exclude``, to compare two overlays."""
        return frozenset(
            (path, file.blob if file else "")
            for path, file in self.files.items()
            if path != exclude
        )

    def chunks(self, language: str, exclude: str) -> Iterator[UncommittedChunk]:
        """The chunks of the family of ``language`` (empty: all) except those of one path, in order.

        Their ids are negative and valid for this overlay only.
        """
        number = 0
        for path, file in sorted(self.files.items()):
            for ordinal, chunk in enumerate(file.chunks if file is not None else ()):
                number -= 1
                if file is None or path == exclude:
                    continue
                if not language or file.language in family(language):
                    ref = ChunkRef(path, ordinal, number)
                    yield UncommittedChunk(ref, file, chunk, file.words[ordinal])

    def hit(self, ref: ChunkRef) -> Hit | None:
        """The chunk at ``ref`` as a hit without a score; ``None`` if it is not of this overlay."""
        file = self.files.get(ref.path)
        if file is None or ref.chunk_id >= 0:
            return None
        chunk = file.chunks[ref.ordinal]
        return Hit(
            ref.chunk_id, ref.path, file.blob, chunk.start_line, chunk.end_line, chunk.text,
            0.0, (), file.language,
        )  # fmt: skip


EMPTY_OVERLAY = Overlay()
