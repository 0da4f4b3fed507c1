"""A refresh in the background: how it is started, and its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.catch_up import sync_index
from git_copilot.assistant.context.repository import (
    RepositoryContext,
    open_context,
    open_repository,
)
from git_copilot.assistant.core.config import Settings, load_settings
from git_copilot.assistant.core.process import with_large_pages
from git_copilot.assistant.core.setting_values import items
from git_copilot.assistant.refresh.activity import ActivityRecord, record_activity
from git_copilot.assistant.refresh.conditions import MachineMonitor, Monitor
from git_copilot.assistant.refresh.pauses import Pauses, Superseded
from git_copilot.assistant.refresh.schedule import is_superseded, record_refresh, refresh_due
from git_copilot.assistant.worker.options import TrainingOptions
from git_copilot.index.core.files import file_lock
from git_copilot.index.git.repository import GitRepository

MODULE, FLAG = "git_copilot.assistant.background", "--refresh"
LOCK = ".background.lock"
NOT_DUE = "not due any more"


def start_training(git_dir: Path, state_dir: Path, options: TrainingOptions) -> int:
    """Start a refresh in a process of its own, which outlives this one; return its pid."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE, FLAG, str(git_dir), json.dumps(asdict(options))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=with_large_pages(os.environ),
        cwd=state_dir,
    )
    return process.pid


def train(
    git_dir: Path, options: TrainingOptions | None = None, machine: Monitor | None = None
) -> str:
    """Run a refresh when the settings allow it, and again while one is due; return why the last
    candidate was promoted or not.

    It pauses as ``copilot.refreshPause`` says, and begins again with newer commits where these
    became as many as ``copilot.refreshCommits`` before it has learnt much.

    :raises CopilotError: another one waits or runs, there are too few holes to learn from, or the
        time limit is too short for this machine.
    """
    options = options or TrainingOptions()
    repo = open_repository(git_dir)
    settings = load_settings(repo)
    lock = adapter_store.adapters_dir(repo.state_dir) / LOCK
    with (
        file_lock(lock, "another refresh of this repository waits or runs in the background"),
        record_activity(repo.state_dir) as record,
    ):
        return _until_nothing_is_due(repo, settings, options, machine or MachineMonitor(), record)


def _until_nothing_is_due(
    repo: GitRepository,
    settings: Settings,
    options: TrainingOptions,
    machine: Monitor,
    record: ActivityRecord,
) -> str:
    result = ""
    while True:
        pauses = Pauses(
            options.when or settings.refresh_when, items(settings.refresh_pause), machine,
            record.waits,
        )  # fmt: skip
        pauses.wait_to_start()
        with _opened(repo, settings) as context:
            # Much may have happened while it waited, or while it learnt.
            if (result or not options.asked) and refresh_due(context) is None:
                return result or NOT_DUE
            with_records = record.reporting(context.progress)
            try:
                result = _refresh(replace(context, progress=with_records), options, pauses)
            except Superseded:
                continue
        if not settings.refresh_commits:
            return result


def _refresh(context: RepositoryContext, options: TrainingOptions, pauses: Pauses) -> str:
    from git_copilot.assistant.refresh.pipeline import run_refresh
    from git_copilot.assistant.refresh.run_clock import RefusedPlan, RunClock

    settings = context.settings
    minutes = options.minutes or (None if options.asked else settings.refresh_minutes)
    clock = RunClock.start(minutes and minutes * 60.0, pauses.now)
    sync_index(replace(context, progress=clock.bounded(context.progress)))
    head = context.repo.head_commit()
    watched = pauses.watched(context.progress, lambda: is_superseded(context, head))
    context = replace(
        context.with_vectors(), settings=options.applied_to(settings), progress=watched
    )
    try:
        report = run_refresh(
            context,
            clock=clock,
            max_holes=options.holes,
            held_out_holes=options.held_out,
            seed=options.seed,
        )
    except RefusedPlan:
        # The next commit would change nothing: measure again after as many as usual.
        record_refresh(context.repo)
        raise
    return report.verdict


@contextmanager
def _opened(repo: GitRepository, settings: Settings) -> Iterator[RepositoryContext]:
    with open_context(repo, settings) as context:
        yield context.with_embedder()
