"""Requests of the service: what a command, an editor or a server asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from git_copilot.index.core.errors import USAGE, CopilotError

# The remedy of errors: where the requests are described.
HELP = "see docs/server-protocol.md"
MAX_TOKENS, MAX_CANDIDATES, MAX_HITS = 2048, 16, 100
# Of the accepted part of a completion, in characters.
MAX_LENGTH = 1_000_000
_Value = TypeVar("_Value")


class InvalidRequest(CopilotError):
    """A request that does not have the form that its documentation says."""

    exit_code = USAGE


@dataclass(frozen=True, slots=True)
class OpenText:
    """A text that the editor has open beside the edited one, whole or in part: it is searched as
    if it stood in the file ``path``, absolute or relative to the top of the worktree."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class CompleteRequest:
    """A completion at ``location``, which is ``FILE:LINE[:COL]`` relative to ``cwd``.

    ``text`` is the unsaved buffer; without one the file is read. ``adapter`` is an id, ``"none"``,
    or ``None`` for the one in use. ``at`` names a commit whose tree and index count. ``count`` is
    the number of candidates. ``patient``: nobody is typing, so the answer may take longer.
    ``explain``: the answer goes with its explanation where it goes as JSON. ``open_texts`` are other
    buffers. ``automatic``: an editor asks by itself, so that the answer may be silence by the
    user's settings. ``client`` is whoever types: its next request at the same file cancels this one.
    ``latency_ms`` and ``time_limit_ms``: less time than the settings of these names allow.
    """

    location: str
    cwd: Path
    text: bytes | None = None
    max_tokens: int | None = None
    retrieval: bool = True
    adapter: str | None = None
    model: str | None = None
    at: str | None = None
    count: int = 1
    patient: bool = False
    explain: bool = False
    open_texts: tuple[OpenText, ...] = ()
    automatic: bool = False
    client: str | None = None
    latency_ms: int | None = None
    time_limit_ms: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The request as a server of ours takes it. A byte of ``text`` is one character."""
        return {
            "location": self.location,
            "cwd": str(self.cwd),
            "text": None if self.text is None else self.text.decode("latin-1"),
            "max_tokens": self.max_tokens,
            "retrieval": self.retrieval,
            "adapter": self.adapter,
            "model": self.model,
            "at": self.at,
            "count": self.count,
            "explain": self.explain,
            "open_texts": [{"path": each.path, "text": each.text} for each in self.open_texts],
            "automatic": self.automatic,
            "client": self.client,
        }

    @classmethod
    def from_json(cls, given: Any) -> CompleteRequest:
        """:raises InvalidRequest: a field is missing, of another type or out of bounds."""
        fields = _Fields("complete", given)
        text = fields.optional("text", str)
        return cls(
            location=fields.required("location", str),
            cwd=fields.folder("cwd"),
            text=None if text is None else _bytes(text),
            max_tokens=fields.number("max_tokens", MAX_TOKENS),
            retrieval=_or(fields.optional("retrieval", bool), True),
            adapter=fields.optional("adapter", str),
            model=fields.optional("model", str),
            at=fields.optional("at", str),
            count=fields.number("count", MAX_CANDIDATES) or 1,
            explain=_or(fields.optional("explain", bool), False),
            open_texts=tuple(map(_open_text, fields.optional("open_texts", list) or ())),
            automatic=_or(fields.optional("automatic", bool), False),
            client=fields.optional("client", str),
        )


@dataclass(frozen=True, slots=True)
class FillRequest:
    """A completion between two texts, for protocols that send no position.

    ``path`` is the file's, absolute or relative to one of ``folders``. Where the protocol names
    none, the repositories of ``folders`` are searched for the file that the texts come from, which
    may be parts of it. ``language`` is what editors call it (``python``, ``typescriptreact``). The
    other fields are those of :class:`CompleteRequest`.
    """

    prefix: str
    suffix: str
    path: str | None = None
    folders: tuple[Path, ...] = ()
    language: str | None = None
    max_tokens: int | None = None
    model: str | None = None
    count: int = 1
    open_texts: tuple[OpenText, ...] = ()
    automatic: bool = True
    client: str | None = None
    latency_ms: int | None = None
    time_limit_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search for ``query`` in the repository of ``folder``; ``None`` stands for this process's
    folder and environment (``GIT_DIR``). ``count`` is the largest number of hits.
    ``texts``: the answer goes with the text of each hit where it goes as JSON."""

    query: str
    folder: Path | None = None
    count: int = 10
    texts: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "query": self.query,
            "cwd": str(self.folder or Path.cwd()),
            "count": self.count,
            "texts": self.texts,
        }

    @classmethod
    def from_json(cls, given: Any) -> SearchRequest:
        """:raises InvalidRequest: a field is missing, of another type or out of bounds."""
        fields = _Fields("search", given)
        query = readable_query(fields.required("query", str))
        count = fields.number("count", MAX_HITS) or 10
        texts = _or(fields.optional("texts", bool), False)
        return cls(query, fields.folder("cwd"), count, texts)


@dataclass(frozen=True, slots=True)
class FeedbackRequest:
    """What became of a completion: its id, one of the outcomes, and the text that stands there
    now, where the editor tells. ``accepted_length`` goes with the outcome ``partial``: the first
    characters (Unicode code points) of the completion that were accepted so far. ``folder`` as for
    :class:`SearchRequest`."""

    completion_id: str
    outcome: str
    folder: Path | None = None
    final: str | None = None
    accepted_length: int | None = None

    @classmethod
    def from_json(cls, given: Any) -> FeedbackRequest:
        """:raises InvalidRequest: a field is missing, of another type or out of bounds."""
        fields = _Fields("feedback", given)
        return cls(
            fields.required("id", str),
            fields.required("outcome", str),
            fields.folder("cwd"),
            fields.optional("final", str),
            fields.number("accepted_length", MAX_LENGTH),
        )


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """The status of the repository of ``folder``, as for :class:`SearchRequest`; ``wait_s``:
    after at most so many seconds, once nothing is pending (``None``: now)."""

    folder: Path | None = None
    wait_s: float | None = None


def readable_query(text: str) -> str:
    """A query as typed, without white space around it and without bytes that are no UTF-8.

    :raises InvalidRequest: nothing is left.
    """
    query = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()
    if not query:
        raise InvalidRequest("the query is empty", "see `git copilot search -h`")
    return query


class _Fields:
    """The fields of a JSON object that should be a request."""

    def __init__(self, kind: str, given: Any) -> None:
        if not isinstance(given, dict):
            raise InvalidRequest(f"a {kind} request is a JSON object", HELP)
        self._kind, self._given = kind, given

    def optional(self, name: str, kind: type[_Value]) -> _Value | None:
        value = self._given.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InvalidRequest(
                f"{name!r} of a {self._kind} request must be of type {kind.__name__}",
                HELP,
            )
        return value

    def required(self, name: str, kind: type[_Value]) -> _Value:
        value = self.optional(name, kind)
        if value is None:
            raise InvalidRequest(f"a {self._kind} request needs {name!r}", HELP)
        return value

    def folder(self, name: str) -> Path:
        folder = Path(self.required(name, str))
        if not folder.is_absolute():
            raise InvalidRequest(f"{name!r} must be an absolute path", HELP)
        return folder

    def number(self, name: str, most: int) -> int | None:
        value = self.optional(name, int)
        if value is not None and not 1 <= value <= most:
            raise InvalidRequest(f"{name!r} must be from 1 to {most}", HELP)
        return value


def _open_text(given: Any) -> OpenText:
    fields = _Fields("complete", given)
    return OpenText(fields.required("path", str), fields.required("text", str))


def _or(value: _Value | None, default: _Value) -> _Value:
    return default if value is None else value


def _bytes(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as exc:
        raise InvalidRequest(
            "'text' of a complete request has a character that stands for no byte",
            HELP,
        ) from exc
