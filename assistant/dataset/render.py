"""Training texts as rows: the examples of a refresh, with control tokens written out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.dataset.cuts import Cut, cut_blob
from git_copilot.assistant.dataset.examples import (
    TRAINING_SHARE,
    Example,
    retrieve,
    serving_budget,
    training_examples,
    with_retrieval,
)
from git_copilot.assistant.dataset.hole_selection import COMMITS, SNAPSHOT, at_fim_rate, tree_holes
from git_copilot.assistant.dataset.row_files import Row
from git_copilot.assistant.dataset.rows import hole_batches, hole_row, with_blobs
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hit, Hole
from git_copilot.index.secrets.redaction import redact
from git_copilot.index.store.allowed_lines import allowed_in

SNAPSHOT_BATCH = 1000


def _render(
    context: RepositoryContext, tokenizer: TextTokenizer, holes: Sequence[Hole]
) -> Iterator[Row]:
    """One row per hole whose text is here and has no secret on its lines, rendered as a refresh
    renders its examples."""
    repo, settings = context.repo, context.settings
    cuts = [cut_blob(data, hole) for hole, data in with_blobs(repo, holes)]
    cuts = at_fim_rate(cuts, settings.seed)
    budget = serving_budget(settings, TRAINING_SHARE)
    hits = _snippets(context, cuts)
    for example in training_examples(tokenizer, cuts, hits, budget, repo.name, settings.seed):
        text = spell(tokenizer, example)
        if text is not None:
            yield {**hole_row(repo.name, example.hole), "text": text}


def _snippets(context: RepositoryContext, cuts: Sequence[Cut]) -> list[list[Hit]]:
    """Snippets as of the parent commit, for the cuts that are shown any."""
    shown = [i for i, cut in enumerate(cuts) if with_retrieval(cut, context.settings.seed)]
    hits: list[list[Hit]] = [[] for _ in cuts]
    found = retrieve(context, [cuts[i] for i in shown])
    allowed = allowed_in(context.repo)
    for i, each in zip(shown, found, strict=True):
        hits[i] = [replace(hit, text=redact(hit.text, hit.path, allowed)) for hit in each]
    return hits


def spell(tokenizer: TextTokenizer, example: Example) -> str | None:
    """An example as text, the end token included; ``None`` where the code itself contains the text
    of a control token, which a tokenizer could not tell from a real one."""
    ids = [*example.prompt_ids, *example.middle_ids]
    text = tokenizer.spell(ids)
    for control in control_ids(tokenizer):
        written = tokenizer.spell([control]).strip()
        if written and text.count(written) != ids.count(control):
            return None
    return text


def control_ids(tokenizer: TextTokenizer) -> frozenset[int]:
    """The control tokens that a training text may contain."""
    fim = tokenizer.fim
    names = (fim.prefix, fim.suffix, fim.middle, fim.repo, fim.file, fim.begin) if fim else ()
    return tokenizer.end_ids | {tokenizer.control(name) for name in names if name}


def rendered_rows(
    context: RepositoryContext, source: str, *, since: int | None = None
) -> Iterator[Row]:
    """One row per hole with its training text: rendered by the prompt builder of serving, with
    the budget of training, snippets for half of them, the middle and the end token.

    :param source: holes of commits, of HEAD's tree (half of them without the text after them, so
        that they are written left to right), or both.
    :raises ModelError: the model is not here.
    """
    model = context.settings.model
    tokenizer = TextTokenizer.load(resolve_model(model), model)
    context = context.with_vectors()
    if source != SNAPSHOT:
        for holes in hole_batches(context, since):
            yield from _render(context, tokenizer, holes)
    head = context.repo.head_commit()
    if source != COMMITS and head is not None:
        found = tree_holes(context.repo, context.db, head)
        number = 0
        while holes := list(islice(found, SNAPSHOT_BATCH)):
            context.progress("exporting files", number, 0)
            number += len(holes)
            yield from _render(context, tokenizer, holes)
