"""Decides when a refresh starts automatically."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.split import MIN_HELD_OUT, MIN_TRAIN
from git_copilot.index.corpus.mining import corpus_counts
from git_copilot.index.git.repository import GitRepository

LAST = "last.json"
MAINLINE = "refs/remotes/origin/HEAD"


def mainline(repo: GitRepository) -> str | None:
    """The tip of the mainline: the remote's default branch if HEAD contains it, else HEAD."""
    remote = repo.resolve(f"{MAINLINE}^{{commit}}")
    if remote and repo.try_run("merge-base", "--is-ancestor", remote, "HEAD")[0] == 0:
        return remote
    return repo.head_commit()


@dataclass(frozen=True, slots=True)
class NewCommits:
    """``count`` mainline commits, without merges, ``since`` the last refresh (``None``: of all)."""

    count: int
    since: str | None


def new_commits(context: RepositoryContext) -> NewCommits:
    """The commits that no refresh, promoted or not, has seen."""
    repo = context.repo
    try:
        text = (adapter_store.adapters_dir(repo.state_dir) / LAST).read_text("utf-8")
        last = str(json.loads(text)["commit"])
    except (OSError, ValueError, KeyError, TypeError):
        last = ""
    tip, since = mainline(repo), last if last and repo.has_object(last) else None
    return NewCommits(_count(repo, tip, since) if tip else 0, since)


def refresh_due(context: RepositoryContext) -> str | None:
    """The reason to start a refresh, or ``None``: ``settings.refresh_commits`` new mainline
    commits, without merges, since the last refresh (promoted or not)."""
    wanted = context.settings.refresh_commits
    if not wanted or corpus_counts(context.db)["holes"] < MIN_TRAIN + MIN_HELD_OUT:
        return None
    new = new_commits(context)
    if new.count < wanted:
        return None
    return (
        f"{new.count} new commits since the last refresh" if new.since else f"{new.count} commits"
    )


def is_superseded(context: RepositoryContext, head: str | None) -> bool:
    """Whether a refresh that began at ``head`` should begin again: that commit is no longer part
    of the history, or as many new ones as make a refresh due came after it."""
    repo, wanted = context.repo, context.settings.refresh_commits
    tip = mainline(repo)
    if head is None or tip is None:
        return False
    if repo.try_run("merge-base", "--is-ancestor", head, "HEAD")[0] != 0:
        return True
    return bool(wanted) and _count(repo, tip, head) >= wanted


def _count(repo: GitRepository, tip: str, since: str | None) -> int:
    """The number of commits up to ``tip``, without merges, that ``since`` does not contain."""
    without = [f"^{since}"] if since else []
    return int(repo.run("rev-list", "--count", "--no-merges", tip, *without))


def record_refresh(repo: GitRepository, commit: str | None = None) -> None:
    """Record HEAD, or ``commit``, as the newest commit that a refresh saw, promoted or not.

    :raises CopilotError: it cannot be written.
    """
    facts = {"commit": commit or repo.head_commit(), "time": int(time.time())}
    path = adapter_store.adapters_dir(repo.state_dir) / LAST
    adapter_store.write_text(path, json.dumps(facts) + "\n")


def record_baseline(repo: GitRepository) -> bool:
    """Count from here if nothing was recorded yet: training starts automatically only after new
    work, not because a long history was just mined. Return whether this was the first time.

    :raises CopilotError: it cannot be written.
    """
    if (adapter_store.adapters_dir(repo.state_dir) / LAST).exists():
        return False
    record_refresh(repo)
    return True
