"""The status of a repository: what is indexed, pending, installed and running."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from git_copilot.hooks.sources import HookStatus


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """``tree`` is what the index of this worktree stands for (``None``: nothing yet). ``secrets``
    counts lines, ``left_out`` files by the reason for which they are not indexed."""

    tree: str | None
    head_tree: str | None
    fresh: bool
    files: int
    chunks: int
    vectors: int
    secrets: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CorpusStatus:
    """Commits looked at, holes, and authors of holes."""

    commits: int
    holes: int
    authors: int


@dataclass(frozen=True, slots=True)
class AdapterStatus:
    """The id of the adapter in use, and how many are kept."""

    current: str | None
    count: int


@dataclass(frozen=True, slots=True)
class FailedJob:
    """A job that the worker gave up."""

    kind: str
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """Jobs that wait, the kind of the one that runs, and those that were given up."""

    pending: int
    running: str | None
    set_aside: tuple[FailedJob, ...]


@dataclass(frozen=True, slots=True)
class DeadServer:
    """A server that did not end on purpose, and the log that may say why."""

    pid: int
    log: str


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """``answers`` is false where a server runs and does not answer; ``died`` is set where the one
    before did. ``http`` is the URL where it answers HTTP; ``http_problem``
    says why it does not, though the settings ask for it. ``cut_prompts`` of its requests had a
    shorter prompt to keep to ``copilot.latencyMs``."""

    running: bool
    pid: int | None
    answers: bool = True
    died: DeadServer | None = None
    http: str | None = None
    cut_prompts: int = 0
    http_problem: str | None = None

    def to_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"running": self.running, "pid": self.pid}
        if self.http is not None:
            fields["http"] = self.http
        if self.http_problem is not None:
            fields["http_problem"] = self.http_problem
        if self.cut_prompts:
            fields["cut_prompts"] = self.cut_prompts
        if self.died is not None:
            fields["died"] = asdict(self.died)
        return fields if self.answers else {**fields, "answers": False}


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The configured model, and whether it is on this machine; in words, the number formats that
    were chosen for it, ``None`` until a model was loaded here."""

    name: str
    ready: bool
    precision: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """The configured server for completions: whether it can do what it is asked for, in words."""

    url: str
    ready: bool
    message: str


@dataclass(frozen=True, slots=True)
class RefreshStatus:
    """A refresh that runs or waits in a process: its phase, of which ``done`` of ``total`` are done
    and about ``seconds_left`` remain, and why it does not go on.

    ``new_commits`` came since the last refresh; at ``starts_after`` one starts by itself (0: never).
    """

    new_commits: int
    starts_after: int
    pid: int | None = None
    phase: str | None = None
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    waits: str | None = None


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """Everything that ``git copilot status`` says. ``missing`` counts what is not learnt and not
    indexed because objects are not here; ``adapter_remarks`` say what speaks against the adapter in
    use, each with a remedy."""

    index: IndexStatus
    corpus: CorpusStatus
    missing: Mapping[str, Any]
    adapters: AdapterStatus
    adapter_remarks: tuple[str, ...]
    refresh: RefreshStatus
    queue: QueueStatus
    hooks: HookStatus
    server: ServerStatus
    model: ModelStatus
    endpoint: EndpointStatus | None

    def to_json(self) -> dict[str, Any]:
        """The JSON of the contract."""
        fields = asdict(self)
        fields["server"] = self.server.to_json()
        return fields
