"""Files whose text is not committed, laid over the index in memory: cut into chunks as the index
cuts them, searched like it, never stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from git_copilot.index.core.types import Chunk
from git_copilot.index.git.objects import blob_id
from git_copilot.index.search.chunk_table import family
from git_copilot.index.search.fusion import Spot
from git_copilot.index.search.lexicon import Words
from git_copilot.index.secrets.scan import hidden_lines
from git_copilot.index.text.chunking import chunk_blob
from git_copilot.index.text.classify import language_of, skip_content, to_utf8
from git_copilot.index.text.terms import terms


@dataclass(frozen=True, slots=True)
class LooseFile:
    """A file as it lies in the worktree or in an editor. ``blob`` is the object id that git would
    give its text; ``words`` are those of each chunk."""

    path: str
    blob: str
    language: str
    chunks: tuple[Chunk, ...]
    words: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class LooseChunk:
    """A chunk of such a file and its place among what is committed."""

    spot: Spot
    file: LooseFile
    chunk: Chunk
    words: Words


def loose_file(
    path: str, data: bytes, object_format: str = "sha1", allowed: Container[str] = ()
) -> LooseFile:
    """Cut a text into chunks. What the index would leave out (generated files, binary ones, lines
    that look like secrets) is left out here as well.

    :param object_format: the repository's hash, as ``extensions.objectFormat`` names it.
    :param allowed: fingerprints of lines that are no secrets (:mod:`.allowed_lines`).
    """
    language = language_of(path)
    chunks: list[Chunk] = []
    content = to_utf8(data)
    if skip_content(content) is None:
        hidden = hidden_lines(content, language, allowed).all
        chunks = chunk_blob(content, language, hidden)
    words = (Words(Counter(terms(c.text)), c.end_byte - c.start_byte) for c in chunks)
    return LooseFile(path, blob_id(data, object_format), language, tuple(chunks), tuple(words))


@dataclass(frozen=True)
class Overlay:
    """Loose files by path; ``None`` for a file that is gone. Their paths hide what is committed."""

    files: Mapping[str, LooseFile | None] = field(default_factory=dict)

    @property
    def paths(self) -> Iterable[str]:
        return self.files.keys()

    def state(self, exclude: str) -> frozenset[tuple[str, str]]:
        """What tells two overlays apart as far as other files than one path go: paths, and the
        object ids of their texts."""
        return frozenset(
            (path, file.blob if file else "")
            for path, file in self.files.items()
            if path != exclude
        )

    def chunks(self, language: str, exclude: str) -> Iterator[LooseChunk]:
        """The chunks of the family of ``language`` (empty: all) but those of one path, in order.

        Their ids are below 0 and hold for this overlay only.
        """
        number = 0
        for path, file in sorted(self.files.items()):
            for ordinal, chunk in enumerate(file.chunks if file is not None else ()):
                number -= 1
                if file is None or path == exclude:
                    continue
                if not language or file.language in family(language):
                    spot = Spot(path, ordinal, number)
                    yield LooseChunk(spot, file, chunk, file.words[ordinal])


NOTHING_LOOSE = Overlay()
