"""Keeps what was shown, and takes what editors say became of it. Nothing leaves the machine."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from git_copilot.index import feedback
from git_copilot.index.db import DATABASE_NAME, Database
from git_copilot.index.errors import CopilotError
from git_copilot.index.forget import Forgotten
from git_copilot.index.known import require_known
from git_copilot.index.outcome import spot_of

if TYPE_CHECKING:
    from git_copilot.assistant.complete import Answer
    from git_copilot.index.git import GitRepository

# The answer is out already; still, a record is not worth a thread that waits for a long sync.
RECORD_BUSY_MS = 250


def shown_of(answer: Answer, now: int) -> feedback.Shown:
    """What the table keeps of an answer; of several candidates the first."""
    place, fields = answer.place, answer.fields
    document = place.document
    return feedback.Shown(
        id=str(fields["id"]),
        time=now,
        path=place.path,
        spot=spot_of(document.prefix, document.suffix, document.line),
        completion=answer.completion.replace("\r\n", "\n"),
        model=str(fields["model"]),
        adapter=fields["adapter"],
    )


def record_answer(answer: Answer) -> None:
    """Note that a completion was shown. To be called when it has gone out.

    Says nothing to the user: what goes wrong stands in ``log/feedback.log``. What looks like a
    secret, or lies in a file that is forgotten, is not kept.
    """
    state_dir = answer.place.repo.state_dir
    try:
        shown = shown_of(answer, int(time.time()))
        if not feedback.worth_keeping(shown) or _has_secret(shown):
            return
        with Database(state_dir / DATABASE_NAME) as db:
            db.connection.execute(f"PRAGMA busy_timeout = {RECORD_BUSY_MS}")
            if not Forgotten.load(db).path(shown.path):
                feedback.record_shown(db, shown)
    except (CopilotError, OSError) as exc:
        _log(state_dir, f"{answer.fields['id']} was not recorded: {exc}")


def report(
    repo: GitRepository, completion_id: str, outcome: str, final: str | None = None
) -> dict[str, str]:
    """Note what became of a completion: id, outcome and path.

    :raises CopilotError: the outcome or the completion is unknown.
    :raises NotInitialised: ``init`` was never run.
    :raises ReadOnly: nothing can be recorded here.
    """
    if outcome not in feedback.OUTCOMES:
        raise CopilotError(
            f"{outcome!r} is no outcome of a completion", f"say {', '.join(feedback.OUTCOMES)}"
        )
    require_known(repo.state_dir)
    with Database(repo.state_dir / DATABASE_NAME) as db:
        db.check_writable()
        return feedback.report(db, completion_id, outcome, final)


def _has_secret(shown: feedback.Shown) -> bool:
    from git_copilot.index.secrets import find_secrets

    spot = shown.spot
    here = f"{spot.before}{shown.completion}{spot.after}"
    return bool(find_secrets("\n".join([*reversed(spot.above), here, spot.below]), shown.path))


def _log(state_dir: Path, message: str) -> None:
    from git_copilot.assistant.logs import worker_log

    with suppress(OSError):
        log = worker_log(state_dir, "feedback")
        log.warning("%s", message)
        for handler in log.handlers:
            handler.close()
