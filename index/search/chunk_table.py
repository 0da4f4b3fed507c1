"""The chunks of a view in columns: ids, places and languages, without any text.

Ranking needs these of all chunks and the text of none. So they are kept in arrays that are updated
by the difference of two trees; texts are loaded for the winners only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from git_copilot.index.search.fusion import ChunkRef
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import decode_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

# Blobs whose chunks are read by one statement.
BLOB_BATCH = 500
# Languages that use each other's definitions.
FAMILIES = (
    frozenset({"c", "cpp"}),
    frozenset({"javascript", "typescript", "tsx", "vue"}),
    frozenset({"ocaml", "ocaml_interface"}),
)


def family(language: str) -> frozenset[str]:
    """The languages whose definitions code in ``language`` can use."""
    return next((f for f in FAMILIES if language in f), frozenset({language}))


class ChunkTable:
    """The chunks of one view by *position*: sorted by path, then by line, so that the smaller
    position wins ties and ``position + 1`` is the next chunk of a file.

    A blob under several paths has positions for each path; :meth:`allowed` permits only the first.
    """

    def __init__(self, db: Database, view: str) -> None:
        self._db = db
        self._view = view
        self._key: tuple[str, str] | None = None
        self._blobs: dict[int, tuple[str, Ints, Ints]] = {}  # language, chunk ids, sizes
        self._columns([])

    def refresh(self) -> bool:
        """Update to the current state of the view; return whether it changed."""
        rows = self._db.query(
            "SELECT v.revision, m.value FROM views v, meta m WHERE v.name = ?"
            " AND m.key = 'identity'",
            (self._view,),
        )
        # Forgetting removes chunks without a new revision, but changes the identity.
        key = (str(rows[0][0]), str(rows[0][1])) if rows else ("", "")
        if key == self._key:
            return False
        listed = self._db.query(
            "SELECT f.path, f.blob_id FROM files f JOIN views v ON v.id = f.view_id"
            " WHERE v.name = ?",
            (self._view,),
        )
        files = sorted((decode_path(path), int(str(blob))) for path, blob in listed)
        self._load(dict.fromkeys(blob for _, blob in files))
        self._columns(files)
        self._key = key
        return True

    def _load(self, wanted: Collection[int]) -> None:
        """Keep the chunks of the ``wanted`` blobs only, reading those that are new."""
        self._blobs = {blob: self._blobs[blob] for blob in wanted if blob in self._blobs}
        new = [blob for blob in wanted if blob not in self._blobs]
        for begin in range(0, len(new), BLOB_BATCH):
            batch = new[begin : begin + BLOB_BATCH]
            marks = "(SELECT value FROM json_each(?))"
            numbers = (json.dumps(batch),)
            languages = self._db.query(
                f"SELECT id, language FROM blobs WHERE id IN {marks}", numbers
            )
            chunks = self._db.query(
                "SELECT blob_id, json_group_array(id), json_group_array(start_line),"
                " json_group_array(end_byte - start_byte) FROM chunks"
                f" WHERE blob_id IN {marks} GROUP BY blob_id",
                numbers,
            )
            empty = np.empty(0, np.int64)
            for blob, language in languages:
                self._blobs[int(str(blob))] = str(language), empty, empty
            for blob, ids, lines, sizes in chunks:
                order = np.argsort(parse_integers(lines))
                self._blobs[int(str(blob))] = (
                    self._blobs[int(str(blob))][0],
                    parse_integers(ids)[order],
                    parse_integers(sizes)[order],
                )

    def _columns(self, files: Sequence[tuple[str, int]]) -> None:
        blobs = [self._blobs[blob] for _, blob in files]
        counts = np.asarray([len(ids) for _, ids, _ in blobs], np.int64)
        empty = [np.empty(0, np.int64)]
        self.paths = [path for path, _ in files]
        self.file_of: Ints = np.repeat(np.arange(len(files)), counts)
        self.chunk: Ints = np.concatenate([*(ids for _, ids, _ in blobs), *empty])
        self.size: Ints = np.concatenate([*(sizes for _, _, sizes in blobs), *empty])
        self.first: Ints = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        self.languages = [language for language, _, _ in blobs]
        self._number = {path: number for number, path in enumerate(self.paths)}
        under: dict[int, list[int]] = {}
        for number, (_, blob) in enumerate(files):
            under.setdefault(blob, []).append(number)
        self._twins = [numbers for numbers in under.values() if len(numbers) > 1]
        self.ids, self._unique = np.unique(self.chunk, return_inverse=True)
        # The same object until the view changes.
        self.all_ids: list[int] = self.ids.tolist()
        # By chunk id: its index in `ids`, or -1. Ids are sequential and never reused, so the table
        # is as long as the number of chunks ever created; a binary search takes four to eight
        # times as long.
        self._index_of: Ints = np.full(int(self.ids[-1]) + 1 if len(self.ids) else 0, -1)
        self._index_of[self.ids] = np.arange(len(self.ids))
        # Positions sorted by chunk id, and the first one of each id.
        self._by_id: Ints = np.argsort(self._unique, kind="stable")
        self._runs: Ints = np.searchsorted(self._unique[self._by_id], np.arange(len(self.ids) + 1))
        self._families: dict[str, Flags] = {}

    def __len__(self) -> int:
        return len(self.chunk)

    def file_index(self, path: str) -> int | None:
        """The index of a path in :attr:`paths`, or ``None``."""
        return self._number.get(path)

    def allowed(self, language: str, hidden: Iterable[str]) -> Flags:
        """A mask of the positions that may be shown: those of the family of ``language`` (empty:
        all), none of a ``hidden`` path, and for a blob under several paths those of the first one
        that is not hidden."""
        files = self._of_family(language).copy()
        numbers = {self._number[path] for path in hidden if path in self._number}
        for twins in self._twins:
            left = [number for number in twins if number not in numbers]
            files[[number for number in twins if number not in left[:1]]] = False
        files[list(numbers)] = False
        flags: Flags = files[self.file_of]
        return flags

    def _of_family(self, language: str) -> Flags:
        if language not in self._families:
            wanted = family(language)
            self._families[language] = np.asarray(
                [not language or found in wanted for found in self.languages], np.bool_
            )
        return self._families[language]

    def ref(self, position: int) -> ChunkRef:
        """The chunk at ``position``."""
        file = int(self.file_of[position])
        ordinal = position - int(self.first[file])
        return ChunkRef(self.paths[file], ordinal, int(self.chunk[position]))

    def refs(self, chunk_ids: Iterable[int], allowed: Flags) -> dict[int, ChunkRef]:
        """References to those chunks that are in the view and allowed, by id."""
        ids = np.asarray(list(chunk_ids), np.int64)
        positions, _ = self.positions(ids, allowed)
        return {int(self.chunk[position]): self.ref(position) for position in positions.tolist()}

    def positions(self, chunk_ids: Ints, allowed: Flags) -> tuple[Ints, Ints]:
        """The allowed positions of chunks, and for each the index of its id in ``chunk_ids``."""
        indices, asked = self._located(chunk_ids)
        begins = self._runs[indices]
        counts = self._runs[indices + 1] - begins
        # A run of positions for each chunk, concatenated.
        starts = np.repeat(begins - (np.cumsum(counts) - counts), counts)
        found = self._by_id[starts + np.arange(len(starts))]
        keep = allowed[found]
        return found[keep], np.repeat(asked, counts)[keep]

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Expand values for :attr:`ids` to values for positions."""
        return values[self._unique]

    def locate(self, ids: Ints) -> Ints:
        """Indices into :attr:`ids` of those ``ids`` that are in the view."""
        return self._located(ids)[0]

    def _located(self, ids: Ints) -> tuple[Ints, Ints]:
        """The same, and for each its index in ``ids``."""
        asked = np.flatnonzero((ids >= 0) & (ids < len(self._index_of)))
        indices = self._index_of[ids[asked]]
        here = indices >= 0
        return indices[here], asked[here]


def parse_integers(array: object) -> Ints:
    """Parse a JSON array of integers, which SQLite returns five times as fast as rows."""
    numbers: Ints = np.fromstring(str(array)[1:-1], dtype=np.int64, sep=",")
    return numbers
