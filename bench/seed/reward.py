"""Chooses ``token_reward`` (assistant/decoding/copy_weights.py): how far long lines are favoured.

    python bench/seed/reward.py --sources DIR --model FOLDER

On the newest holes of the repositories that copying is fitted on (recipe.toml's ``[copying]``, as
copy_weights.py reads them) each rest of a line is written greedily and with each reward. For each,
of the holes within a line where the rest of one is requested: exact match and edit similarity (%),
the holes that became and ceased to be exact, the tokens read in the search for a likelier line
(mean and p90), and the mean time of decoding in milliseconds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import click
import numpy as np
from copy_weights import read_examples, read_fitted, read_recipe

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.evaluation.metrics import edit_similarity, exact_match
from git_copilot.assistant.postprocess.completion_scope import CompletionScope
from git_copilot.assistant.postprocess.trim import Trimmer
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

REWARDS = (None, 0.0, 0.2, 0.3, 0.4, 0.6)


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """One completion: exact match and edit similarity in %, tokens read in the search, and its time."""

    em: float
    es: float
    tried: int
    ms: float


def answer(engine: Engine, example: Example) -> ScoredAnswer:
    """Complete one hole as serving does."""
    trimmer = Trimmer(example.prefix, example.suffix, path=example.hole.path)
    settings = Settings()
    made = engine.generate(
        GenerationRequest(
            example.prompt_ids,
            Sampling(settings.max_tokens, alternatives=settings.alternatives),
            copy_context=example.copy_context,
            should_stop=trimmer.finished,
        )
    )
    text = trimmer.trim(made.text, made.finish).text
    em, es = exact_match(text, example.middle), edit_similarity(text, example.middle)
    return ScoredAnswer(em, es, made.tried, made.decode_ms)


def is_wanted(example: Example) -> bool:
    """Whether the hole is within a line, and the rest of one is requested."""
    block = CompletionScope(example.prefix, example.suffix.partition("\n")[0]).block
    return not block and "\n" not in example.middle.strip("\n")


def row(
    reward: float | None, answers: Sequence[ScoredAnswer], greedy: Sequence[ScoredAnswer]
) -> str:
    """The table row of one reward."""
    pairs = list(zip(answers, greedy, strict=True))
    won, lost = (sum(a.em > b.em for a, b in order) for order in (pairs, [p[::-1] for p in pairs]))
    tried = [a.tried for a in answers]
    return (
        f"{'greedy' if reward is None else format(reward, '.1f'):>7}"
        f"{np.mean([a.em for a in answers]):>7.1f}{np.mean([a.es for a in answers]):>7.1f}"
        f"{f'+{won} -{lost}':>9}{np.mean(tried):>8.1f}{np.quantile(tried, 0.9):>6.0f}"
        f"{np.mean([a.ms for a in answers]):>7.0f}"
    )


@click.command()
@click.option("--sources", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--int8", is_flag=True, help="Decode in int8, as on a CPU that has instructions.")
def main(sources: Path, model: Path, int8: bool) -> None:
    """Compare rewards."""
    tokenizer, weights = TextTokenizer.load(model), read_fitted(model)
    loaded, precision = load_model(model), "int8" if int8 else ""
    engines = {
        reward: Engine(loaded, tokenizer, precision, replace(weights, token_reward=reward))
        for reward in REWARDS
    }
    for engine in engines.values():  # a prompt is read once for all
        engine.backend, engine.slots = engines[None].backend, engines[None].slots
    found: dict[float | None, list[ScoredAnswer]] = {reward: [] for reward in REWARDS}
    for name, examples in read_examples(sources, read_recipe(), tokenizer):
        for example in filter(is_wanted, examples):
            for reward, engine in engines.items():
                found[reward].append(answer(engine, example))
        click.echo(f"{name}: {len(found[None])} holes so far")
    click.echo(f"{'reward':>7}{'em':>7}{'es':>7}{'':>9}{'tried':>8}{'p90':>6}{'ms':>7}")
    for reward, answers in found.items():
        click.echo(row(reward, answers, found[None]))


if __name__ == "__main__":
    main()
