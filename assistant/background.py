"""The worker's main program: gives :mod:`git_copilot.hooks.worker` the jobs' handlers."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from git_copilot.assistant.core.logs import worker_log
from git_copilot.assistant.core.process import calm_threads, forget_large_pages
from git_copilot.hooks.plan import Job
from git_copilot.hooks.worker import run_worker
from git_copilot.index.core.errors import BUG, USER_PROBLEM, CopilotError
from git_copilot.index.git.trust import is_trusted

# Kept off the cores that the user works on; the worker is niced besides.
THREADS = "1"
NICENESS = 15  # training may wait for everything else


def handlers(log: logging.Logger) -> Mapping[str, Callable[[Job], None]]:
    """The handler of each kind of job. Heavy imports are deferred until a job needs them."""

    def sync(job: Job) -> None:
        from git_copilot.assistant.worker.jobs import sync_job

        log.info("sync %s", sync_job(Path(job.git_dir)))

    def mine(job: Job) -> None:
        from git_copilot.assistant.worker.jobs import mine_job

        log.info("mine: %d commits", mine_job(Path(job.git_dir)))

    def refresh(job: Job) -> None:
        from git_copilot.assistant.worker.jobs import refresh_job

        log.info("refresh: %s", refresh_job(Path(job.git_dir)))

    return {"sync": sync, "mine": mine, "refresh": refresh}


def train_in_background(git_dir: Path, options: Mapping[str, Any]) -> int:
    """Train, and report to the log; this process has no terminal.

    :param options: fields of :class:`~git_copilot.assistant.worker.options.TrainingOptions`.
    """
    from git_copilot.assistant.context.repository import open_repository
    from git_copilot.assistant.worker.options import TrainingOptions
    from git_copilot.assistant.worker.training import train

    os.nice(NICENESS)
    state_dir = open_repository(git_dir).state_dir
    if not is_trusted(state_dir):
        return USER_PROBLEM
    log = worker_log(state_dir, "refresh")
    try:
        log.info("refresh: %s", train(git_dir, TrainingOptions(**options)))
    except CopilotError as exc:
        log.warning("refresh: %s", exc)
        return exc.exit_code
    except Exception:
        log.exception("refresh failed")
        return BUG
    return 0


def main() -> int:
    """Entry point: ``python -P -m git_copilot.assistant.background STATE_DIR``, or
    ``--refresh GIT_DIR OPTIONS`` for training."""
    os.environ.setdefault("OMP_NUM_THREADS", THREADS)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    calm_threads()
    forget_large_pages()
    logging.raiseExceptions = False  # a log on a full disk: nobody reads this process's stderr
    try:
        if sys.argv[1] == "--refresh":
            return train_in_background(Path(sys.argv[2]), json.loads(sys.argv[3]))
        state_dir = Path(sys.argv[1]).absolute()  # not resolved: it may be a link elsewhere
        if not is_trusted(state_dir):
            return 0  # somebody else's, or a copy: `doctor` and every command say so
        log = worker_log(state_dir, "worker")
    except OSError:
        return 0  # read-only or vanished: nothing can be kept up to date here
    return run_worker(state_dir, handlers(log), log=log)


if __name__ == "__main__":
    sys.exit(main())
