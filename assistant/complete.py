"""The use case: a location becomes a completion that can say where it came from."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from git_copilot.assistant import adapters
from git_copilot.assistant.feedback import record_answer
from git_copilot.assistant.location import (
    Document,
    Location,
    check_text,
    cut_document,
    parse_location,
    read_file,
)
from git_copilot.assistant.models import canonical
from git_copilot.assistant.session import Session, Workspace
from git_copilot.index.classify import language_of
from git_copilot.index.errors import CopilotError, GitError, LocationError
from git_copilot.index.git import GitRepository

if TYPE_CHECKING:
    from git_copilot.assistant.config import Settings
    from git_copilot.assistant.engine import Engine, Generation
    from git_copilot.assistant.prompt import Prompt
    from git_copilot.index.types import Hit

# Further candidates are sampled; the first is always the greedy one.
CANDIDATE_TEMPERATURE = 0.6


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. ``adapter`` is an id, ``"none"``, or ``None`` for the current one."""

    location: str
    cwd: Path
    text: bytes | None = None
    max_tokens: int | None = None
    retrieval: bool = True
    adapter: str | None = None
    model: str | None = None
    at: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A location resolved in its repository: the file's path there and the text at the cursor.

    ``data`` are the bytes that were read, to notice later that the file changed.
    """

    repo: GitRepository
    location: Location
    file: Path
    path: str
    data: bytes
    document: Document


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON of the contract, and what ``--explain`` adds."""

    fields: dict[str, Any]
    explanation: dict[str, Any]
    place: Place

    @property
    def completion(self) -> str:
        return str(self.fields["completion"])


def find_place(request: Request) -> Place:
    """Resolve the location and read the text, without loading anything.

    :raises LocationError: the file or the position does not exist.
    :raises NotARepository: the file lies in no repository.
    """
    location = parse_location(request.location)
    file = request.cwd / location.file
    if request.text is None and request.at is None and not file.exists():
        raise LocationError(f"{location.file} does not exist", "check the name, or use --stdin")
    parent = file.parent.resolve()
    known = next(p for p in (parent, *parent.parents) if p.is_dir())
    if known != parent and request.at is None:
        raise LocationError(f"{parent} does not exist", "check the name")
    repo = GitRepository.discover(known)  # an older commit may have folders that are gone
    if repo.root is None:
        raise GitError(
            f"{repo.name} is a bare repository, it has no files to complete",
            "run the command in a clone or a worktree of it",
        )
    path = os.path.relpath(parent / file.name, repo.root)
    if path.startswith(".." + os.sep):
        raise LocationError(f"{location.file} is outside {repo.root}", "name a file in it")
    path = path.replace(os.sep, "/")
    if request.text is not None:
        data = request.text
    elif request.at is not None:
        data = _read_at(repo, request.at, path)
    else:
        data = read_file(file)
    return Place(repo, location, file, path, data, cut_document(data, location))


def _read_at(repo: GitRepository, commit: str, path: str) -> bytes:
    """A text file as it was in a commit."""
    tree = repo.resolve(f"{commit}^{{tree}}")
    if tree is None:
        raise GitError(f"{commit!r} names no commit here", "`git log` shows those there are")
    entry = repo.entry(tree, path)
    if entry is None or not entry.mode.startswith("100"):
        raise LocationError(f"{path} is no file in {commit}", "name a file of that commit")
    data = repo.read_blob(entry.oid)
    check_text(data, path)
    return data


def complete(
    request: Request,
    place: Place,
    session: Session,
    *,
    note: Callable[[str], None],
    cancelled: Callable[[], bool] = lambda: False,
) -> Answer:
    """Answer a request.

    :param note: gets remarks for the user (an embedder that is missing, say).
    :raises CopilotError: something the user can mend.
    """
    begun = time.perf_counter()
    workspace = session.workspace(place.repo)
    settings = workspace.settings
    model = model_name(request, place, settings)
    hits, tree, fresh = _retrieve(request, place, workspace, session, note)
    retrieve_ms = (time.perf_counter() - begun) * 1000
    adapter = _adapter(request, workspace, model, note)
    folder = adapters.adapter_path(place.repo.state_dir, adapter) if adapter else None
    engine = session.engine(model, folder)
    prompt = _prompt(engine, place, hits, settings)
    candidates = [
        _generate(engine, prompt, place, request, settings, index, cancelled)
        for index in range(request.count)
    ]
    first, text, rule = candidates[0]
    fields: dict[str, Any] = {
        "id": _answer_id(place, tree, model, adapter, prompt.ids),
        "completion": text,
        "file": place.path,
        "line": place.document.line,
        "column": place.document.column,
        "model": model,
        "adapter": adapter,
        "finish_reason": "trimmed" if rule is not None else first.finish,
        "index": {"tree": tree, "fresh": fresh},
        "snippets": [_snippet(hit, tokens) for hit, tokens in prompt.snippets],
        "prompt_tokens": len(prompt.ids),
        "cached_tokens": first.cached_tokens,
        "completion_tokens": first.tokens,
        "timings_ms": {
            "retrieve": round(retrieve_ms, 1),
            "prefill": round(first.prefill_ms, 1),
            "decode": round(first.decode_ms, 1),
            "total": round((time.perf_counter() - begun) * 1000, 1),
        },
    }
    if request.count > 1:
        fields["candidates"] = [each for _, each, _ in candidates]
    explanation = {
        "mode": prompt.mode,
        "trim_rule": rule,
        "found": len(hits),
        "seed": settings.seed,
        "prompt": engine.tokenizer.decode(list(prompt.ids)),
    }
    answer = Answer(fields, explanation, place)
    if settings.feedback and request.at is None:
        session.defer(lambda: record_answer(answer))
    return answer


def model_name(request: Request, place: Place, settings: Settings) -> str:
    """The canonical name of the model that a request wants."""
    if request.model is not None:
        return canonical(request.model, request.cwd)
    return canonical(settings.model, place.repo.root or place.repo.git_dir)


def _prompt(engine: Engine, place: Place, hits: list[Hit], settings: Settings) -> Prompt:
    from git_copilot.assistant.prompt import Budget, build_prompt

    return build_prompt(
        engine.tokenizer,
        path=place.path,
        language=language_of(place.path),
        prefix=place.document.prefix,
        suffix=place.document.suffix,
        snippets=hits,
        budget=Budget(settings.prompt_tokens, settings.context_tokens, settings.suffix_tokens),
        repository=place.repo.name,
    )


def _generate(
    engine: Engine,
    prompt: Prompt,
    place: Place,
    request: Request,
    settings: Settings,
    index: int,
    cancelled: Callable[[], bool],
) -> tuple[Generation, str, str | None]:
    """One candidate: the generation, its trimmed text with the file's line ends, the rule."""
    from git_copilot.assistant.engine import Sampling
    from git_copilot.assistant.trim import Trimmer

    document = place.document
    trimmer = Trimmer(document.prefix, document.suffix, path=place.path)
    sampling = Sampling(
        max_tokens=request.max_tokens or settings.max_tokens,
        temperature=CANDIDATE_TEMPERATURE if index else 0.0,
        seed=settings.seed + index,
    )
    generation = engine.generate(
        list(prompt.ids), sampling, enough=trimmer.finished, cancelled=cancelled
    )
    trimmed = trimmer.trim(generation.text)
    return generation, trimmed.text.replace("\n", document.newline), trimmed.rule


def _retrieve(
    request: Request,
    place: Place,
    workspace: Workspace,
    session: Session,
    note: Callable[[str], None],
) -> tuple[list[Hit], str, bool]:
    """Snippets for the cursor, the tree they come from, and whether it is the one asked for."""
    from git_copilot.assistant.context import cursor_query, drop_seen

    embedder = session.embedder(workspace.settings, note) if request.retrieval else None
    if request.at is not None:
        view, tree = workspace.view_at(request.at, embedder)
        fresh = True
    else:
        view = place.repo.view_name
        tree, fresh = workspace.catch_up(embedder)
    if not request.retrieval:
        return [], tree, fresh
    document = place.document
    query = cursor_query(place.path, language_of(place.path), document.prefix, document.suffix)
    searcher = workspace.searcher(embedder, view)
    hits = searcher.search(query, workspace.settings.snippets, embedder)
    return drop_seen(hits, document.prefix, document.suffix), tree, fresh


def _adapter(
    request: Request, workspace: Workspace, model: str, note: Callable[[str], None]
) -> str | None:
    """The id of the adapter to use with ``model``."""
    state = workspace.repo.state_dir
    if request.adapter == "none":
        return None
    if request.adapter is not None:
        chosen = request.adapter
    elif request.at is not None:
        chosen = adapters.adapter_at(workspace.repo, request.at) or ""
    else:
        chosen = adapters.current_adapter(state) or ""
        warning = adapters.current_warning(state)
        if warning is not None:
            note(f"working without the adapter: {warning}")
    if not chosen:
        return None
    made_for = canonical(adapters.base_model(state, chosen), request.cwd)
    if made_for != model:
        if request.adapter is not None:
            raise CopilotError(
                f"the adapter {chosen} was trained for {made_for}, not for {model}",
                f"add `--model {made_for}`, or train one with `git copilot refresh`",
            )
        note(f"the adapter {chosen} is for {made_for} and is not used with {model}")
        return None
    return chosen


def _snippet(hit: Hit, tokens: int) -> dict[str, Any]:
    return {
        "path": hit.path,
        "blob": hit.blob,
        "start_line": hit.start_line,
        "end_line": hit.end_line,
        "score": round(hit.score, 5),
        "sources": list(hit.sources),
        "tokens": tokens,
    }


def _answer_id(
    place: Place, tree: str, model: str, adapter: str | None, ids: tuple[int, ...]
) -> str:
    """Equal for equal inputs: the same question to the same state has the same id."""
    digest = hashlib.sha256()
    for part in (place.path, tree, model, adapter or "", ",".join(map(str, ids))):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return f"cmpl-{digest.hexdigest()[:16]}"
