"""The use case: a location becomes a completion that can say where it came from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.completion.answer import Answer, answer_id, place_fields, snippet_fields
from git_copilot.assistant.completion.feedback import record_answer
from git_copilot.assistant.completion.request import Place, Request, model_name
from git_copilot.assistant.completion.session import Session, Workspace
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.models.catalogue import canonical
from git_copilot.assistant.prompt.snippet_cache import SearchedState
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.text.classify import language_of

if TYPE_CHECKING:
    from pathlib import Path

    from git_copilot.assistant.completion.candidates import Candidate
    from git_copilot.assistant.core.config import Settings
    from git_copilot.assistant.decoding.generation import Generator, Sampling
    from git_copilot.assistant.prompt.builder import Budget, Prompt
    from git_copilot.index.core.types import Hit

# Where nobody types, an answer may take so many times as long.
PATIENCE = 4


def complete(
    request: Request,
    place: Place,
    session: Session,
    *,
    note: Callable[[str], None],
    cancelled: Callable[[], bool] = lambda: False,
    on_text: Callable[[str], None] | None = None,
) -> Answer:
    """Answer a request.

    :param note: gets remarks for the user (an embedder that is missing, say).
    :param on_text: gets the first candidate's whole lines so far while it is written; the answer
        may end before what was shown, and where they differ it counts.
    :raises CopilotError: something the user can mend.
    """
    from git_copilot.assistant.completion.candidates import Writer

    begun = time.perf_counter()
    workspace = session.workspace(place.repo, note)
    settings = _settings(request, workspace)
    model = model_name(request, place, settings)
    hits, seen, fresh = _retrieve(request, place, workspace, settings, session, note)
    retrieved = time.perf_counter()
    adapter = _adapter(request, workspace, model, note)
    engine = session.engine(model, _folder(place, adapter), settings)
    budget = _budget(engine, settings)
    shown = _shown(hits, place, seen, request, settings, session)
    prompt, lead = _prompt(engine, place, shown, budget, settings)
    writer = Writer(
        engine, prompt, lead, place,
        nearby=hits, time_limit_ms=settings.time_limit_ms, cancelled=cancelled,
    )  # fmt: skip
    sampling = _sampling(request, settings)
    candidates = writer.write(sampling, request.count, on_text)
    fields: dict[str, Any] = {
        "id": answer_id(place, seen.tree, model, adapter, prompt.ids),
        "completion": candidates[0].text,
        **place_fields(place),
        "model": model,
        "adapter": adapter,
        "index": {"tree": seen.tree, "fresh": fresh},
        "snippets": [snippet_fields(hit, tokens) for hit, tokens in prompt.snippets],
        "prompt_tokens": len(prompt.ids),
        **_generated(candidates[0], begun, retrieved),
    }
    if request.count > 1:
        fields["candidates"] = [each.text for each in candidates]
    explanation = {
        "found": len(hits),
        "seed": settings.seed,
        "prompt_budget": [budget.prompt, settings.prompt_tokens],
        **_explained(engine, prompt, lead, candidates[0], sampling),
    }
    answer = Answer(fields, explanation, place)
    if explanation["out_of_time"] and not answer.completion.strip():
        note(f"nothing was written within {settings.time_limit_ms} ms (copilot.timeLimitMs)")
    if settings.feedback and request.at is None:
        session.defer(lambda: record_answer(answer))
    return answer


def _sampling(request: Request, settings: Settings) -> Sampling:
    from git_copilot.assistant.decoding.generation import Sampling

    most = request.max_tokens or settings.max_tokens
    return Sampling(most, seed=settings.seed, alternatives=settings.alternatives)


def _explained(
    engine: Generator, prompt: Prompt, lead: str, candidate: Candidate, sampling: Sampling
) -> dict[str, Any]:
    """What ``--explain`` says of a prompt and what was written behind it."""
    made = candidate.generation
    return {
        "mode": prompt.mode,
        "healed": lead,
        "trim_rule": candidate.rule,
        # The time limit ended it, not the number of tokens.
        "out_of_time": made.finish == "length" and made.tokens < sampling.max_tokens,
        # Tokens that the model alone would not have written, by their source.
        "copied": dict(Counter(made.copied)),
        # Tokens read for likelier lines, and the greedy line where one was found.
        "tried": made.tried,
        "instead_of": made.instead_of,
        "prompt": engine.tokenizer.spell(list(prompt.ids)),
    }


def _generated(candidate: Candidate, begun: float, retrieved: float) -> dict[str, Any]:
    """The fields of an answer that say how its completion was written, and when."""
    made = candidate.generation
    times = {
        "retrieve": (retrieved - begun) * 1000,
        "prefill": made.prefill_ms,
        "decode": made.decode_ms,
        "total": (time.perf_counter() - begun) * 1000,
    }
    return {
        "finish_reason": made.finish if candidate.rule is None else "trimmed",
        "cached_tokens": made.cached_tokens,
        "completion_tokens": made.tokens,
        "timings_ms": {name: round(each, 1) for name, each in times.items()},
    }


def _settings(request: Request, workspace: Workspace) -> Settings:
    """The settings that hold for a request. An older commit has those of its own tree, and no
    bounds of time: it should say the same on a busy machine."""
    if request.at is not None:
        settings = load_settings(workspace.repo, request.at)
        return replace(settings, latency_ms=0, time_limit_ms=0)
    settings = workspace.settings
    patience = PATIENCE if request.patient else 1
    return replace(settings, time_limit_ms=settings.time_limit_ms * patience)


def _budget(engine: Generator, settings: Settings) -> Budget:
    """What a prompt may hold to be read in time."""
    from git_copilot.assistant.prompt.builder import Budget
    from git_copilot.assistant.prompt.latency import fit_budget

    wanted = Budget(settings.prompt_tokens, settings.context_tokens, settings.suffix_tokens)
    return fit_budget(wanted, engine.prefill_rate, settings.latency_ms)


def _prompt(
    engine: Generator, place: Place, hits: list[Hit], budget: Budget, settings: Settings
) -> tuple[Prompt, str]:
    """The prompt, without secrets where it goes to a server, and what must be written first."""
    from git_copilot.assistant.completion.redaction import told
    from git_copilot.assistant.decoding.token_healing import heal_if_useful, may_heal
    from git_copilot.assistant.prompt.builder import build_prompt

    place = told(place, settings)
    prompt = build_prompt(
        engine.tokenizer,
        path=place.path,
        language=language_of(place.path),
        prefix=place.document.prefix,
        suffix=place.document.suffix,
        snippets=hits,
        budget=budget,
        repository=place.repo.name,
        healing=may_heal(settings),
    )
    return heal_if_useful(engine.tokenizer, prompt, place.document.prefix, settings)


def _folder(place: Place, adapter: str | None) -> Path | None:
    """Where an adapter of the place's repository lies."""
    return adapter_store.adapter_path(place.repo.state_dir, adapter) if adapter else None


def _retrieve(
    request: Request,
    place: Place,
    workspace: Workspace,
    settings: Settings,
    session: Session,
    note: Callable[[str], None],
) -> tuple[list[Hit], SearchedState, bool]:
    """Snippets for the cursor, what they come from, and whether that is what was asked for."""
    from git_copilot.assistant.prompt.cursor_query import cursor_query

    if request.retrieval and request.at is None:
        workspace.look(place.path)
    embedder = session.embedder(settings, note) if request.retrieval else None
    if request.at is not None:
        view, tree = workspace.view_at(request.at, embedder)
        fresh = True
    else:
        view = place.repo.view_name
        tree, fresh = workspace.catch_up(embedder)
    if not request.retrieval:
        return [], SearchedState(tree), fresh
    document = place.document
    query = cursor_query(
        place.path,
        language_of(place.path),
        document.prefix,
        document.suffix,
        workspace.partners(request.at, tree, place.path),
    )
    searcher = workspace.searcher(embedder, view)
    if request.at is not None:
        return searcher.search(query, settings.found, embedder), SearchedState(tree), fresh
    hits, overlay, current = workspace.find(
        lambda overlay: searcher.search(query, settings.found, embedder, overlay)
    )
    return hits, SearchedState(tree, overlay.state(place.path)), fresh and current


def _shown(
    hits: list[Hit],
    place: Place,
    seen: SearchedState,
    request: Request,
    settings: Settings,
    session: Session,
) -> list[Hit]:
    """Of what was found, the snippets for the prompt; while one types they stay in place."""
    hits = hits[: settings.snippets]
    if request.at is not None or not request.retrieval:
        return hits
    state = (seen, settings.snippets)
    return session.steady.settle(str(place.file), place.document.prefix, state, hits)


def _adapter(
    request: Request, workspace: Workspace, model: str, note: Callable[[str], None]
) -> str | None:
    """The id of the adapter to use with ``model``."""
    state, settings = workspace.repo.state_dir, workspace.settings
    if request.adapter == "none":
        return None
    if request.adapter is not None:
        chosen = request.adapter
    elif request.at is not None:
        chosen = adapter_store.adapter_at(workspace.repo, request.at) or ""
    else:
        chosen = adapter_store.current_adapter(state) or ""
        warning = adapter_store.current_warning(state)
        if warning is not None:
            note(f"working without the adapter: {warning}")
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
