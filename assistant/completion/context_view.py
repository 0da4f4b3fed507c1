"""The use case ``context``: what a prompt at a place would hold, for a person or another agent.

No model is loaded: only its tokenizer, which the budgets count in. Secrets of the edited file are
hidden, since whoever asks may pass the text on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from git_copilot.assistant.api.answers import IndexState
from git_copilot.assistant.api.context_answer import ContextAnswer
from git_copilot.assistant.completion.redaction import hidden
from git_copilot.assistant.completion.request import model_name
from git_copilot.assistant.completion.task import Task, request_settings, retrieve

if TYPE_CHECKING:
    from git_copilot.assistant.api.requests import CompleteRequest
    from git_copilot.assistant.completion.callbacks import Callbacks
    from git_copilot.assistant.completion.request import Place
    from git_copilot.assistant.completion.session import Session
    from git_copilot.assistant.core.config import Settings
    from git_copilot.assistant.prompt.builder import Tokenizer


def view_context(
    request: CompleteRequest, place: Place, session: Session, callbacks: Callbacks
) -> ContextAnswer:
    """The snippets and the prompt of a completion that is not made.

    :param place: in a repository.
    :raises CopilotError: something that the user can correct.
    """
    from git_copilot.assistant.completion.prompt_choice import render
    from git_copilot.assistant.prompt.builder import Budget

    workspace = session.workspace(place.repo, callbacks.note) if place.repo else None
    settings = request_settings(request, workspace)
    head = place.repo.head_tree_or_empty() if place.repo else ""
    task = Task(request, place, session, workspace, settings, callbacks, head)
    model = model_name(request, place, settings)
    tokenizer = _tokenizer(session, model, settings)
    found = retrieve(task)
    budget = Budget(settings.prompt_tokens, settings.context_tokens, settings.suffix_tokens)
    hits = found.hits[: settings.snippets]
    prompt = render(tokenizer, hidden(place), hits, budget, settings).prompt
    return ContextAnswer(
        file=place.notebook or place.path,
        line=place.document.line,
        column=place.document.column,
        model=model,
        index=IndexState(found.seen.tree, found.fresh),
        snippets=prompt.snippets,
        prompt_tokens=len(prompt.ids),
        prompt=tokenizer.spell(list(prompt.ids)),
    )


def _tokenizer(session: Session, model: str, settings: Settings) -> Tokenizer:
    """The tokenizer of a model here, or of what stands for it where a server completes."""
    from git_copilot.assistant.models.catalogue import resolve_model
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer

    if settings.endpoint:
        return session.engine(model, None, settings).tokenizer
    return TextTokenizer.load(resolve_model(model), model, settings.fim)
