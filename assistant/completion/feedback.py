"""Keeps what was shown, and takes what editors say became of it. Nothing leaves the machine."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from git_copilot.assistant.api.requests import InvalidRequest
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.corpus import feedback_outcomes, feedback_store
from git_copilot.index.corpus.buffer_outcome import Buffer, buffer_outcomes
from git_copilot.index.corpus.outcome import cursor_context
from git_copilot.index.git.trust import require_trusted
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.forget import Forgotten
from git_copilot.index.text.classify import language_of

if TYPE_CHECKING:
    from git_copilot.assistant.api.answers import CompleteAnswer
    from git_copilot.assistant.api.requests import CompleteRequest
    from git_copilot.assistant.completion.request import Place
    from git_copilot.index.git.repository import GitRepository

# The answer is out already; still, a record is not worth a thread that waits for a long sync.
RECORD_BUSY_MS = 250
# Whoever comes back to a place later has seen other code meanwhile.
OPEN_SECONDS = 3600
COMMAND = "command"
_CLIENT = re.compile(r"[a-z]+([/.][a-z]+)*")


def shown_of(
    place: Place, answer: CompleteAnswer, request: CompleteRequest, now: int
) -> feedback_store.ShownCompletion:
    """What the table keeps of an answer; of several candidates the first."""
    document = place.document
    return feedback_store.ShownCompletion(
        id=answer.id,
        time=now,
        path=place.path,
        cursor=cursor_context(document.prefix, document.suffix, document.line),
        completion=answer.completion.replace("\r\n", "\n"),
        model=answer.model,
        adapter=answer.adapter,
        language=language_of(place.path),
        latency_ms=answer.timings.total,
        automatic=request.automatic,
        client=client_name(request.client),
    )


def client_name(client: str | None) -> str:
    """The short name of who asked: the words that its name begins with (``lsp`` of
    ``lsp-4711-f00``). The command gives none."""
    if client is None:
        return COMMAND
    found = _CLIENT.match(client)
    return found[0] if found else ""


def record_answer(place: Place, answer: CompleteAnswer, request: CompleteRequest) -> None:
    """Note what the buffer tells of earlier completions in the file, and that this one was shown.
    To be called when it has gone out.

    Says nothing to the user: what goes wrong stands in ``log/feedback.log``. What looks like a
    secret, or lies in a file that is forgotten, is not kept.
    """
    if place.repo is None:
        return
    state_dir = place.repo.state_dir
    try:
        shown = shown_of(place, answer, request, int(time.time()))
        with Database(state_dir / DATABASE_NAME) as db:
            db.connection.execute(f"PRAGMA busy_timeout = {RECORD_BUSY_MS}")
            if Forgotten.load(db).covers_path(shown.path):
                return
            infer_outcomes(db, place, shown.time)
            if feedback_store.is_worth_keeping(shown) and not _has_secret(shown):
                feedback_store.record_shown(db, shown)
    except (CopilotError, OSError) as exc:
        _log(state_dir, f"{answer.id} was not recorded: {exc}")


def infer_outcomes(db: Database, place: Place, now: int) -> None:
    """Record what the buffer of a request tells of completions in the same file of which nothing
    was reported. It keeps no text of the buffer."""
    shown = feedback_outcomes.open_completions(db, place.path, now - OPEN_SECONDS)
    if not shown:
        return
    document = place.document
    buffer = Buffer.at_cursor(document.prefix, document.suffix, document.line)
    found = buffer_outcomes(buffer, shown)
    if found:
        feedback_outcomes.record_inferred(db, found)


def report(
    repo: GitRepository,
    completion_id: str,
    outcome: str,
    final: str | None = None,
    accepted_length: int | None = None,
) -> dict[str, str]:
    """Note what became of a completion: id, outcome and path.

    :param accepted_length: in characters, for the outcome ``partial``.
    :raises CopilotError: the outcome or the completion is unknown.
    :raises NotInitialised: ``init`` was never run.
    :raises ReadOnlyDatabase: nothing can be recorded here.
    """
    if outcome not in feedback_store.OUTCOMES:
        raise InvalidRequest(
            f"{outcome!r} is no outcome of a completion",
            f"say {', '.join(feedback_store.OUTCOMES)}",
        )
    if (accepted_length is None) == (outcome == feedback_store.PARTIAL):
        raise InvalidRequest(
            "the accepted length goes with the outcome 'partial', and only with it",
            "report how many characters of the completion were accepted",
        )
    require_trusted(repo.state_dir)
    if final is not None and _looks_secret(final):
        final = None  # a commit tells whether the text may be learnt from
    with Database(repo.state_dir / DATABASE_NAME) as db:
        db.check_writable()
        return feedback_outcomes.record_outcome(db, completion_id, outcome, final, accepted_length)


def _has_secret(shown: feedback_store.ShownCompletion) -> bool:
    spot = shown.cursor
    here = f"{spot.before}{shown.completion}{spot.after}"
    return _looks_secret("\n".join([*reversed(spot.above), here, spot.below]), shown.path)


def _looks_secret(text: str, path: str = "") -> bool:
    from git_copilot.index.secrets.scan import find_secrets

    return bool(find_secrets(text, path))


def _log(state_dir: Path, message: str) -> None:
    from git_copilot.assistant.core.logs import worker_log

    with suppress(OSError):
        log = worker_log(state_dir, "feedback")
        log.warning("%s", message)
        for handler in log.handlers:
            handler.close()
