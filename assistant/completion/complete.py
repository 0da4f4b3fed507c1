"""The use case: a location becomes a completion that can say where it came from."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.api.answers import (
    CompleteAnswer,
    CompletionExplanation,
    IndexState,
    Timings,
    WholeLine,
)
from git_copilot.assistant.completion.feedback import record_answer
from git_copilot.assistant.completion.request import model_name
from git_copilot.assistant.completion.silence import reason_for_silence, silent_answer
from git_copilot.assistant.completion.task import (
    Task,
    choose_adapter,
    choose_snippets,
    request_settings,
    retrieve,
)

if TYPE_CHECKING:
    from git_copilot.assistant.api.requests import CompleteRequest
    from git_copilot.assistant.completion.callbacks import Callbacks
    from git_copilot.assistant.completion.candidates import Candidate
    from git_copilot.assistant.completion.prompt_choice import ChosenPrompt
    from git_copilot.assistant.completion.request import Place
    from git_copilot.assistant.completion.session import Session
    from git_copilot.assistant.completion.task import Retrieved
    from git_copilot.assistant.core.config import Settings
    from git_copilot.assistant.decoding.generation import Generator, Sampling


def complete(
    request: CompleteRequest,
    place: Place,
    session: Session,
    callbacks: Callbacks,
    *,
    shown: bool = True,
) -> CompleteAnswer:
    """Answer a request.

    :param shown: whether anybody sees the answer; else it is prepared for whoever asks next.
    :raises CopilotError: something that the user can correct.
    """
    workspace = session.workspace(place.repo, callbacks.note) if place.repo else None
    settings = request_settings(request, workspace)
    head = place.repo.head_tree_or_empty() if place.repo else ""
    task = Task(request, place, session, workspace, settings, callbacks, head)
    model = model_name(request, place, settings)
    silence = reason_for_silence(place, settings) if request.automatic else None
    if silence is not None:
        silent = silent_answer(place, model, silence)
        _settle(task, silent)
        return silent
    adapter = choose_adapter(task, model)
    question = _question(task, model, adapter)
    # An editor asks again when it draws again; whoever runs a command wants it to run.
    asks_again = request.automatic or request.client is not None
    answer = session.answers.find(question, place, again=asks_again)
    if answer is None:
        answer = _compute(task, model, adapter, question)
    if shown:
        _settle(task, answer)
    return answer


def _question(task: Task, model: str, adapter: str | None) -> tuple[Hashable, ...]:
    """What an answer depends on beside the text at the cursor."""
    request, place = task.request, task.place
    return (
        place.file, place.path, task.head, task.settings, model, adapter, request.max_tokens,
        request.retrieval, request.at, request.count, request.open_texts,
    )  # fmt: skip


def _compute(
    task: Task, model: str, adapter: str | None, question: tuple[Hashable, ...]
) -> CompleteAnswer:
    """Search, read the prompt, and write."""
    from git_copilot.assistant.completion.candidates import Writer
    from git_copilot.assistant.completion.prompt_choice import choose_prompt

    begun = time.perf_counter()
    request, place, session = task.request, task.place, task.session
    settings, callbacks = task.settings, task.callbacks
    found = retrieve(task)
    retrieved = time.perf_counter()
    folder = None
    if adapter and place.repo:
        folder = adapter_store.adapter_path(place.repo.state_dir, adapter)
    engine = session.engine(model, folder, settings)
    chosen = choose_prompt(engine, place, choose_snippets(task, found), settings)
    session.idle_work = chosen.reading_ahead(engine)
    _tell_of_cut_prompt(task, chosen)
    prompt = chosen.prompt
    writer = Writer(
        engine, prompt, chosen.forced_prefix, place, found=found,
        threshold=settings.confidence / 100, time_limit_ms=settings.time_limit_ms,
        cancelled=callbacks.is_cancelled,
    )  # fmt: skip
    sampling = _sampling(request, settings)
    candidates = writer.write(sampling, request.count, callbacks.on_text)
    made, rule = candidates[0].generation, candidates[0].rule
    answer = CompleteAnswer(
        id=_answer_id(place, found.seen.tree, model, adapter, prompt.ids),
        candidates=tuple(each.text for each in candidates),
        file=place.notebook or place.path,
        line=place.document.line,
        column=place.document.column,
        model=model,
        adapter=adapter,
        index=IndexState(found.seen.tree, found.fresh),
        snippets=prompt.snippets,
        prompt_tokens=len(prompt.ids),
        finish_reason=made.finish if rule is None else "trimmed",
        cached_tokens=made.cached_tokens,
        completion_tokens=made.tokens,
        timings=_timings(begun, retrieved, candidates[0]),
        explanation=_explain(engine, chosen, candidates[0], sampling, settings, found),
        whole_line=_whole_line(place, candidates[0]),
        confidence=candidates[0].confidence,
        confidences=tuple(each.confidence for each in candidates),
        silenced=candidates[0].choice.reason if candidates[0].choice else None,
        several=request.count > 1,
    )
    if not callbacks.is_cancelled():
        whole = not chosen.left_out and not answer.explanation.out_of_time
        session.answers.keep(question, request, place, answer, whole=whole)
    return answer


def _tell_of_cut_prompt(task: Task, chosen: ChosenPrompt) -> None:
    """Count prompts for which there was no time, and say so at the first."""
    if not chosen.left_out:
        return
    task.session.cut_prompts += 1
    if task.session.cut_prompts == 1:
        task.callbacks.note(
            f"{chosen.left_out} of {len(chosen.whole)} prompt tokens are left out of this answer to"
            f" keep to copilot.latencyMs ({task.settings.latency_ms}); later ones here use them"
        )


def _whole_line(place: Place, candidate: Candidate) -> WholeLine | None:
    if candidate.whole_line is None:
        return None
    return WholeLine(candidate.whole_line, len(place.closers))


def _settle(task: Task, answer: CompleteAnswer) -> None:
    """Say what is to be said of an answer, and have it recorded once it has gone out."""
    settings = task.settings
    if answer.explanation.out_of_time and not answer.completion.strip():
        limit = settings.time_limit_ms
        task.callbacks.note(f"nothing was written within {limit} ms (copilot.timeLimitMs)")
    if settings.feedback and task.request.at is None and not task.place.notebook:
        task.session.defer(lambda: record_answer(task.place, answer, task.request))


def _sampling(request: CompleteRequest, settings: Settings) -> Sampling:
    from git_copilot.assistant.decoding.generation import Sampling

    most = request.max_tokens or settings.max_tokens
    return Sampling(most, seed=settings.seed, alternatives=settings.alternatives, first_lines=True)


def _timings(begun: float, retrieved: float, candidate: Candidate) -> Timings:
    made = candidate.generation
    return Timings(
        retrieve=(retrieved - begun) * 1000,
        prefill=made.prefill_ms,
        decode=made.decode_ms,
        total=(time.perf_counter() - begun) * 1000,
    )


def _explain(
    engine: Generator,
    chosen: ChosenPrompt,
    candidate: Candidate,
    sampling: Sampling,
    settings: Settings,
    found: Retrieved,
) -> CompletionExplanation:
    made, choice = candidate.generation, candidate.choice
    shown = choice.shown if choice else None
    return CompletionExplanation(
        found=len(found.hits),
        seed=settings.seed,
        prompt_budget=(chosen.budget.prompt, settings.prompt_tokens),
        left_out=chosen.left_out,
        mode=chosen.prompt.mode,
        healed=chosen.forced_prefix,
        trim_rule=candidate.rule,
        out_of_time=made.finish == "length" and made.tokens < sampling.max_tokens,
        copied=Counter(made.copied if shown is None else shown.copied),
        tried=made.tried,
        instead_of=made.instead_of,
        prompt=engine.tokenizer.spell(list(chosen.prompt.ids)),
        proposals=choice.proposals if choice else (),
    )


def _answer_id(
    place: Place, tree: str, model: str, adapter: str | None, ids: tuple[int, ...]
) -> str:
    """Equal for equal inputs: the same question to the same state has the same id."""
    digest = hashlib.sha256()
    document = place.document
    for part in (
        place.path, tree, model, adapter or "", ",".join(map(str, ids)),
        document.prefix, document.suffix,
    ):  # fmt: skip
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return f"cmpl-{digest.hexdigest()[:16]}"
