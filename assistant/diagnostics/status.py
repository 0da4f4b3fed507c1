"""Gathers what ``git copilot status`` shows, and waits until nothing is left to do."""

from __future__ import annotations

import time
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.api.status import (
    AdapterStatus,
    CorpusStatus,
    DeadServer,
    EndpointStatus,
    FailedJob,
    IndexStatus,
    ModelStatus,
    QueueStatus,
    RefreshStatus,
    ServerStatus,
    StatusAnswer,
)
from git_copilot.assistant.client import transport
from git_copilot.assistant.client.server_log import last_death, log_path
from git_copilot.assistant.context.catch_up import mine_commits, sync_index
from git_copilot.assistant.context.repository import RepositoryContext, open_context
from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.core.missing_history import lack_facts
from git_copilot.assistant.diagnostics.adapter_watch import watch_adapter
from git_copilot.assistant.diagnostics.endpoint_check import examine_endpoint
from git_copilot.assistant.diagnostics.precision_check import describe_precision
from git_copilot.assistant.models.catalogue import canonical, is_ready
from git_copilot.assistant.refresh.activity import read_activity
from git_copilot.assistant.refresh.schedule import new_commits
from git_copilot.hooks.launch import start_worker
from git_copilot.hooks.lock import worker_starting
from git_copilot.hooks.sources import installed_hooks
from git_copilot.hooks.spool import Spool
from git_copilot.hooks.worker import MAX_DEATHS, queue_state, worker_alive
from git_copilot.index.audit.exclusions import count_left_out
from git_copilot.index.core.errors import CopilotError, ModelError
from git_copilot.index.corpus.mining import corpus_counts
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store import views
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.revisit import is_due

POLL_SECONDS = 0.1
MAX_IDLE_TURNS = 20
MAX_STARTS = MAX_DEATHS + 2


def read_status(repo: GitRepository) -> StatusAnswer:
    """Gather the status of a repository.

    :raises NotInitialised: ``init`` was never run.
    """
    settings = load_settings(repo)
    with Database(repo.state_dir / DATABASE_NAME) as db:
        counts = views.view_counts(db, repo.view_name, settings.embedder)
        tree = views.view_tree(db, repo.view_name)
        corpus = CorpusStatus(**corpus_counts(db))
        left_out = count_left_out(repo, db, repo.view_name)
        missing = lack_facts(repo, db)
        context = RepositoryContext(repo, db, settings)
        refresh = _refresh(context)
        current = adapter_store.current_adapter(repo.state_dir)
        remarks = watch_adapter(context, current) if current else []
    return StatusAnswer(
        IndexStatus(tree, repo.head_tree(), is_fresh(repo, tree), **counts, left_out=left_out),
        corpus,
        missing,
        AdapterStatus(current, len(adapter_store.list_adapters(repo.state_dir))),
        tuple(f"{remark.text}; `{remark.remedy}`" for remark in remarks),
        refresh,
        _queue(repo),
        installed_hooks(repo),
        _server_status(server_facts()),
        ModelStatus(settings.model, is_ready(settings.model), _precision(settings)),
        _endpoint(repo, settings, current),
    )


def _precision(settings: Settings) -> str | None:
    try:
        return describe_precision(settings)
    except ModelError as exc:
        return exc.message


def _refresh(context: RepositoryContext) -> RefreshStatus:
    new, wanted = new_commits(context).count, context.settings.refresh_commits
    now = read_activity(context.state_dir)
    if now is None:
        return RefreshStatus(new, wanted)
    left = now.seconds_left
    return RefreshStatus(
        new,
        wanted,
        now.pid,
        now.phase or None,
        now.done,
        now.total,
        None if left is None or now.waits else round(left, 1),
        now.waits or None,
    )


def _queue(repo: GitRepository) -> QueueStatus:
    queue = queue_state(repo.state_dir)
    failed = (FailedJob(s.kind, s.attempts, s.error) for s in Spool(repo.state_dir).set_aside())
    running = queue.running.kind if queue.running else None
    return QueueStatus(queue.pending, running, tuple(failed))


def _endpoint(
    repo: GitRepository, settings: Settings, adapter: str | None
) -> EndpointStatus | None:
    """The configured server: its address, whether it can do what it is asked for, and in words
    what it says or how to correct that."""
    model = canonical(settings.model, repo.root or repo.git_dir)
    found = examine_endpoint(settings, model, adapter)
    if found is None:
        return None
    message = f"{found.message}; {found.mend}" if found.mend else found.message
    return EndpointStatus(settings.endpoint, found.level == "ok", message)


def is_fresh(repo: GitRepository, tree: str | None) -> bool:
    """Whether an index of ``tree`` stands for HEAD; on an unborn branch an empty one does."""
    head = repo.head_tree()
    return tree == head or (head is None and tree == repo.head_tree_or_empty())


def server_facts() -> dict[str, Any] | None:
    """What the running server says of itself, or ``None``; of one that does not answer, its
    ``pid`` where that is known, and ``"answers": False``."""
    try:
        return transport.ask({"op": "status"}, transport.STATUS_SECONDS)
    except transport.ServerSilent as exc:
        return {"pid": exc.pid, "answers": False}


def _server_status(facts: dict[str, Any] | None) -> ServerStatus:
    death = last_death()
    died = None if death is None else DeadServer(death.pid, str(log_path()))
    if facts is None:
        return ServerStatus(False, None, died=died)
    return ServerStatus(
        True,
        facts["pid"],
        facts.get("answers", True),
        died,
        facts.get("http"),
        facts.get("cut_prompts", 0),
        facts.get("http_problem"),
    )


def wait_until_done(repo: GitRepository, timeout: float) -> None:
    """Return when the spool is empty, no worker runs, and the index is fresh.

    Catches up by itself when no hook told of the change. Training runs in a process of its own
    and is not waited for.

    :raises CopilotError: ``timeout`` seconds were not enough, or workers cannot be started or
        end at once.
    """
    deadline = time.monotonic() + timeout
    settings = load_settings(repo)
    asked = False
    idle_turns = starts = 0
    while True:
        queue = queue_state(repo.state_dir)
        if queue.pending == 0 and queue.running is None:
            with Database(repo.state_dir / DATABASE_NAME) as db:
                tree = views.view_tree(db, repo.view_name)
                fetched = is_due(repo, db)
            if is_fresh(repo, tree) and not fetched:
                return
            if not asked:
                asked = True
                with open_context(repo, settings, create=True) as context:
                    sync_index(context)
                    if fetched:
                        mine_commits(context)
                continue
        elif worker_alive(repo.state_dir) is None and not worker_starting(repo.state_dir):
            # A worker may have left between the two looks, so one turn says little.
            if start_worker(repo.state_dir):
                starts += 1
            else:
                idle_turns += 1
            if idle_turns > MAX_IDLE_TURNS:
                raise CopilotError(
                    f"{queue.pending} events are pending and no worker can be started",
                    "run `git copilot install`, which records the interpreter for it",
                )
            if starts > MAX_STARTS:
                raise CopilotError(
                    f"{queue.pending} events are pending and every worker ends at once",
                    "`git copilot doctor` says why",
                )
        if time.monotonic() > deadline:
            raise CopilotError(
                f"not done after {timeout:g} s ({queue.pending} pending)",
                "wait longer with --timeout, or see `git copilot status`",
            )
        time.sleep(POLL_SECONDS)
