"""The service: one typed call for each use case.

Every entry point calls it: the commands of a process of their own, the server of the Unix socket, and
later other protocols. It knows neither command lines nor connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from git_copilot.assistant.api.answers import (
    FeedbackAnswer,
    FillAnswer,
    IndexState,
    SearchAnswer,
)
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.context.repository import initialised_repository, known_repository
from git_copilot.index.core.errors import ReadOnlyDatabase
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from git_copilot.assistant.api.answers import CompleteAnswer
    from git_copilot.assistant.api.context_answer import ContextAnswer
    from git_copilot.assistant.api.requests import (
        CompleteRequest,
        FeedbackRequest,
        FillRequest,
        SearchRequest,
        StatusRequest,
    )
    from git_copilot.assistant.api.status import StatusAnswer
    from git_copilot.assistant.completion.callbacks import Callbacks
    from git_copilot.assistant.completion.fill import FillPlaces
    from git_copilot.assistant.completion.request import Place
    from git_copilot.assistant.completion.workspace import Workspace
    from git_copilot.index.audit.exclusions import Verdict


class Service:
    """The use cases, with what they keep open. Calls of `complete` and `search` must not overlap:
    models and databases belong to one thread at a time. The others may run beside them."""

    def __init__(self) -> None:
        self.session = Session()
        self._places: FillPlaces | None = None

    def complete(
        self, request: CompleteRequest, callbacks: Callbacks, place: Place | None = None
    ) -> CompleteAnswer:
        """The code that belongs at a place.

        :param place: of the request, where it was looked up already.
        :raises CopilotError: something that the user can correct.
        """
        from git_copilot.assistant.completion.complete import complete
        from git_copilot.assistant.completion.request import find_place

        return complete(request, place or find_place(request), self.session, callbacks)

    def fill(self, request: FillRequest, callbacks: Callbacks) -> FillAnswer:
        """The code that belongs between two texts.

        :raises CopilotError: something that the user can correct.
        """
        from git_copilot.assistant.completion.complete import complete
        from git_copilot.assistant.completion.fill import FillPlaces

        self._places = self._places or FillPlaces(self.session)
        located, place = self._places.find(request, callbacks.note)
        answer = complete(located, place, self.session, callbacks)
        return FillAnswer(answer, place.repo.root if place.repo else None)

    def context(self, request: CompleteRequest, callbacks: Callbacks) -> ContextAnswer:
        """What a prompt at a place would hold.

        :raises CopilotError: something that the user can correct.
        """
        from git_copilot.assistant.completion.context_view import view_context
        from git_copilot.assistant.completion.request import find_place

        return view_context(request, find_place(request), self.session, callbacks)

    def prepare_next(self, completion_id: str, is_interrupted: Callable[[], bool]) -> None:
        """Complete behind an answer that was accepted, for the editor that asks there next.

        :param is_interrupted: ends it, and nothing is kept.
        """
        from git_copilot.assistant.completion.callbacks import Callbacks
        from git_copilot.assistant.completion.complete import complete

        found = self.session.answers.accepted(completion_id)
        if found is not None and not is_interrupted():
            callbacks = Callbacks(is_cancelled=is_interrupted)
            complete(*found, self.session, callbacks, shown=False)

    def preload(self) -> None:
        """Load the user's model, unless one is loaded."""
        self.session.preload()

    def search(self, request: SearchRequest, callbacks: Callbacks) -> SearchAnswer:
        """Code of a repository, by words, by meaning and by defined name.

        :raises CopilotError: something that the user can correct.
        """
        repo = GitRepository.discover(request.folder)
        workspace = self.session.workspace(repo, callbacks.note)
        workspace.look()
        embedder = self.session.embedder(workspace.settings, callbacks.note)
        tree, fresh = workspace.catch_up(embedder)
        if not fresh:
            callbacks.note(_behind(workspace, tree))
        searcher = workspace.searcher(embedder, repo.view_name)
        hits, _, current = workspace.find(
            lambda overlay: searcher.search_code(request.query, request.count, embedder, overlay)
        )
        if not current:
            callbacks.note("not all uncommitted changes were read in time; some may be missing")
        return SearchAnswer(tuple(hits), IndexState(tree, fresh and current), repo.root)

    def feedback(self, request: FeedbackRequest, note: Callable[[str], None]) -> FeedbackAnswer:
        """Record what became of a completion.

        :raises CopilotError: the outcome or the completion is unknown, or there is no index.
        """
        from git_copilot.assistant.completion.feedback import report

        repo = known_repository(request.folder)
        try:
            done = report(
                repo, request.completion_id, request.outcome, request.final,
                request.accepted_length,
            )  # fmt: skip
        except ReadOnlyDatabase as exc:  # an editor that reports has nothing to correct
            note(f"not recorded: {exc}")
            return FeedbackAnswer(request.completion_id, request.outcome, None)
        return FeedbackAnswer(**done)

    def acceptance(self, folder: Path | None = None, days: int = 30) -> dict[str, Any]:
        """How many completions were shown and accepted in the last ``days`` days, how much of them
        is retained and how long they took; ``recorded``: new ones are counted as well."""
        from git_copilot.assistant.core.config import load_settings
        from git_copilot.index.corpus.feedback_statistics import statistics

        repo = known_repository(folder)
        with Database(repo.state_dir / DATABASE_NAME) as db:
            return {**statistics(db, days=days), "recorded": load_settings(repo).feedback}

    def status(self, request: StatusRequest) -> StatusAnswer:
        """What is indexed, pending, installed and running.

        :raises CopilotError: there is no index, or what is pending is not done in time.
        """
        from git_copilot.assistant.diagnostics.status import read_status, wait_until_done

        repo = initialised_repository(request.folder)
        if request.wait_s is not None:
            wait_until_done(repo, request.wait_s)
        return read_status(repo)

    def explain_path(self, path: str, cwd: Path) -> Verdict:
        """Whether a file is indexed, and if not, which rule leaves it out.

        :param path: relative to ``cwd``.
        """
        from git_copilot.index.audit.exclusions import explain_path, repository_path

        repo = initialised_repository()
        with Database(repo.state_dir / DATABASE_NAME) as db:
            return explain_path(repo, db, repository_path(repo, path, cwd))

    def close(self) -> None:
        """Close every database."""
        self.session.close()


def _behind(workspace: Workspace, tree: str) -> str:
    """Why the index does not stand for HEAD."""
    if workspace.db.read_only:
        return f"the index cannot be written here and stays at tree {tree[:12]}, behind HEAD"
    return "the index is still catching up; see `git copilot status --wait`"
