"""One request at work: what its steps share, and the two steps that look things up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.folder_adapters import chosen_for
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.models.catalogue import canonical
from git_copilot.assistant.postprocess.plausibility import ALL_NAMES, Names
from git_copilot.assistant.prompt.snippet_cache import SearchedState
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.text.classify import language_of

if TYPE_CHECKING:
    from pathlib import Path

    from git_copilot.assistant.api.requests import CompleteRequest
    from git_copilot.assistant.completion.callbacks import Callbacks
    from git_copilot.assistant.completion.request import Place
    from git_copilot.assistant.completion.session import Session
    from git_copilot.assistant.completion.workspace import Workspace
    from git_copilot.assistant.core.config import Settings
    from git_copilot.assistant.decoding.generation import Members
    from git_copilot.index.core.types import Hit
    from git_copilot.index.search.overlay import Overlay

# An answer may take this many times as long where nobody types.
PATIENCE = 4


@dataclass(frozen=True, slots=True)
class Task:
    """A request, its place, and what is open for it; no ``workspace`` without a repository. ``head``
    is HEAD's tree when the request came."""

    request: CompleteRequest
    place: Place
    session: Session
    workspace: Workspace | None
    settings: Settings
    callbacks: Callbacks
    head: str = ""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Hits for the cursor, best first; what they come from; whether that is all of the worktree, or
    of the commit that was asked for; which of some identifiers stand in it; and the names that may
    stand at the cursor."""

    hits: list[Hit]
    seen: SearchedState
    fresh: bool
    names: Names = ALL_NAMES
    members: Members | None = None


NOTHING = Retrieved([], SearchedState(""), True)


def retrieve(task: Task) -> Retrieved:
    """Search what belongs at the cursor."""
    from git_copilot.assistant.prompt.builder import Budget
    from git_copilot.assistant.prompt.cursor_query import cursor_query, edited_file
    from git_copilot.index.search.overlay import EMPTY_OVERLAY

    request, place, workspace = task.request, task.place, task.workspace
    settings, document = task.settings, place.open_document
    if workspace is None:
        return NOTHING
    view = workspace.repo.view_name
    if request.retrieval and request.at is None:
        workspace.look(place.path)
    embedder = task.session.embedder(settings, task.callbacks.note) if request.retrieval else None
    if request.at is not None:
        view, tree = workspace.view_at(request.at, embedder)
        fresh = True
    else:
        tree, fresh = workspace.catch_up(embedder, task.head)
    if not request.retrieval:
        return Retrieved([], SearchedState(tree), fresh)
    budget = Budget(settings.prompt_tokens, settings.context_tokens, settings.suffix_tokens)
    file = edited_file(place.path, document.prefix, document.suffix, budget)
    partners = workspace.partners(request.at, tree, place.path)
    query = cursor_query(file, language_of(place.path), partners)
    searcher = workspace.searcher(embedder, view)
    open_texts = () if request.at else request.open_texts

    def search(overlay: Overlay) -> list[Hit]:
        seen = workspace.with_edited(workspace.with_open(overlay, open_texts), file)
        return searcher.search(query, settings.snippets_to_find, embedder, seen)

    if request.at is not None:
        hits, overlay, current = search(EMPTY_OVERLAY), EMPTY_OVERLAY, True
    else:
        hits, overlay, current = workspace.find(search, place.path)
    overlay = workspace.with_open(overlay, open_texts)
    return Retrieved(
        hits,
        SearchedState(tree, overlay.state(place.path)),
        fresh and current,
        Names(
            lambda names: searcher.known(names, overlay),
            lambda names: searcher.defined(names, overlay),
        ),
        workspace.members(document.prefix, document.suffix, place.path, view, overlay),
    )


def choose_snippets(task: Task, found: Retrieved) -> list[Hit]:
    """Of what was found, the snippets for the prompt; while somebody types they stay in place."""
    hits = found.hits[: task.settings.snippets]
    if task.request.at is not None or not task.request.retrieval:
        return hits
    state = (found.seen, task.settings.snippets)
    place = task.place
    return task.session.sticky_snippets.choose(str(place.file), place.document.prefix, state, hits)


def choose_adapter(task: Task, model: str) -> str | None:
    """The id of the adapter to use with ``model``.

    :raises CopilotError: the one that was asked for does not fit.
    """
    request, note, workspace = task.request, task.callbacks.note, task.workspace
    if workspace is None:
        return None
    state, settings = workspace.repo.state_dir, workspace.settings
    chosen = _wanted(task, workspace)
    if not chosen:
        return None
    made_for = canonical(adapter_store.base_model(state, chosen), request.cwd)
    if made_for != model:
        if request.adapter is not None:
            raise CopilotError(
                f"the adapter {chosen} was trained for {made_for}, not for {model}",
                f"add `--model {made_for}`, or train one with `git copilot refresh`",
            )
        note(f"the adapter {chosen} is for {made_for} and is not used with {model}")
        return None
    if settings.endpoint and settings.endpoint_adapters == "none":
        hint = "`git config copilot.endpointAdapters name` (or `load`) uses it there"
        if request.adapter is not None:
            raise CopilotError(f"{settings.endpoint} is asked without adapters", hint)
        note(f"working without the adapter {chosen}; {hint}")
        return None
    return chosen


def _wanted(task: Task, workspace: Workspace) -> str | None:
    """The adapter that the request names, or the one of the file's folder, or the one that is, or was
    at that commit, in use."""
    request, state = task.request, workspace.repo.state_dir
    if request.adapter is not None:
        return None if request.adapter == "none" else request.adapter
    if request.at is not None:
        return adapter_store.adapter_at(workspace.repo, request.at)
    own = chosen_for(state, task.place.path)
    if own is not None:
        return _usable(task, state, own)
    warning = adapter_store.current_warning(state)
    if warning is not None:
        task.callbacks.note(f"working without the adapter: {warning}")
    return adapter_store.current_adapter(state)


def _usable(task: Task, state: Path, adapter: str) -> str | None:
    """The adapter of a folder, unless it is the base model, or is not there any more."""
    if adapter == adapter_store.NONE:
        return None
    try:
        adapter_store.adapter_path(state, adapter)
    except CopilotError as exc:
        task.callbacks.note(f"working without the adapter: {exc}")
        return None
    return adapter


def request_settings(request: CompleteRequest, workspace: Workspace | None) -> Settings:
    """The settings that hold for a request. An older commit has those of its own tree, and no
    bounds of time: it should say the same on a busy machine."""
    if workspace is None:
        settings = load_settings(None)
    elif request.at is not None:
        settings = load_settings(workspace.repo, request.at)
        return replace(settings, latency_ms=0, time_limit_ms=0)
    else:
        settings = workspace.settings
    limit = settings.time_limit_ms * (PATIENCE if request.patient else 1)
    return replace(
        settings,
        latency_ms=_shorter(settings.latency_ms, request.latency_ms),
        time_limit_ms=_shorter(limit, request.time_limit_ms),
    )


def _shorter(limit: int, wanted: int | None) -> int:
    """The stricter of two limits, where 0 is none."""
    return min(limit or wanted, wanted) if wanted else limit
