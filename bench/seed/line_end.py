"""Chooses ``line_end`` (assistant/decoding/copy_weights.py): when an answer ends with its line.

    python bench/seed/line_end.py --sources DIR --model FOLDER

On the newest holes of the repositories that copying is fitted on (recipe.toml's ``[copying]``, as
copy_weights.py reads them) the model writes until it ends by itself; where the rest of a line is
requested, the likelihoods of an end and of another line are recorded after its first line. For each
margin, in nats: exact match and edit similarity (%) of holes within a line and of longer ones; the
correct lines among those shown; the tokens written. An answer ends there unless another line is
more likely than the end by the margin; ``-`` never ends one early.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import click
import torch
from copy_weights import read_examples, read_fitted, read_recipe

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import Example
from git_copilot.assistant.decoding.copy_model import CopyModel
from git_copilot.assistant.decoding.copy_source import CopySource
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.evaluation.metrics import edit_similarity, exact_match
from git_copilot.assistant.postprocess.trim import Trimmer
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

NEVER, ALWAYS = float("-inf"), float("inf")
MARGINS = (NEVER, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, ALWAYS)


@dataclass(frozen=True, slots=True)
class EndedAnswer:
    """One completion, and the same ended after its first line.

    :ivar margin: nats by which another line was more likely than the end there; ``ALWAYS`` if
        nothing ends it early: it has one line, or a block was requested.
    :ivar tokens: written for all of it, and for its first line.
    """

    middle: str
    text: str
    line: str
    margin: float
    tokens: tuple[int, int]

    def ended(self, margin: float) -> str:
        """The text with this ``margin``."""
        return self.line if self.margin < margin else self.text

    def written(self, margin: float) -> int:
        """The tokens it takes with this ``margin``."""
        return self.tokens[self.margin < margin]


@torch.inference_mode()
def answer(engine: Engine, copy_model: CopyModel, example: Example) -> EndedAnswer:
    """Complete one hole."""
    assert example.copy_context is not None
    trimmer = Trimmer(example.prefix, example.suffix, path=example.hole.path)
    source = CopySource(copy_model, example.copy_context)
    sampling = Sampling(Settings().max_tokens)
    made = engine.generate(
        GenerationRequest(example.prompt_ids, sampling, copy_context=example.copy_context)
    )
    text, size = trimmer.trim(made.text, made.finish).text, len(made.ids)
    for i, token in enumerate(made.ids):
        line = engine.tokenizer.decode(list(made.ids[:i]))
        if source.would_leave_line(token, line):
            rows = engine.logits(example.prompt_ids, made.ids[: i + 1])
            margin = source.margin(source.mix(rows[i], line))
            return EndedAnswer(example.middle, text, trimmer.trim(line).text, margin, (size, i))
    return EndedAnswer(example.middle, text, text, ALWAYS, (size, size))


def lines_of(text: str) -> list[str]:
    """Its lines that are not blank."""
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def right_lines(text: str, middle: str) -> int:
    """The number of leading lines of ``text`` that equal those of the middle."""
    pairs = list(zip(lines_of(text), lines_of(middle), strict=False))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))


def table(answers: Sequence[EndedAnswer]) -> Iterator[str]:
    """A line for each margin."""
    groups = {
        "within a line": [a for a in answers if "\n" not in a.middle.strip("\n")],
        "longer": [a for a in answers if "\n" in a.middle.strip("\n")],
    }
    head = [f"{f'{len(group)} {name}: em':>23} {'es':>5}" for name, group in groups.items()]
    yield f"{'margin':>7}{''.join(head)}{'lines right':>15}{'tokens':>8}"
    for margin in MARGINS:
        cells = f"{'-' if margin == NEVER else format(margin, '.1f'):>7}"
        for group in groups.values():
            size = max(len(group), 1)
            em = sum(exact_match(a.ended(margin), a.middle) for a in group) / size
            es = sum(edit_similarity(a.ended(margin), a.middle) for a in group) / size
            cells += f"{em:>23.1f} {es:>5.1f}"
        right = sum(right_lines(a.ended(margin), a.middle) for a in answers)
        shown = sum(len(lines_of(a.ended(margin))) for a in answers)
        yield f"{cells}{f'{right} of {shown}':>15}{sum(a.written(margin) for a in answers):>8}"


@click.command()
@click.option("--sources", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True), required=True)
def main(sources: Path, model: Path) -> None:
    """Compare margins."""
    tokenizer, weights = TextTokenizer.load(model), read_fitted(model)
    weights = replace(weights, line_end=None)
    engine = Engine(load_model(model), tokenizer, copying=weights)
    copy_model, answers = CopyModel(tokenizer, weights, PrefixIndex(tokenizer)), list[EndedAnswer]()
    for name, examples in read_examples(sources, read_recipe(), tokenizer):
        answers += [answer(engine, copy_model, example) for example in examples]
        click.echo(f"{name}: {len(answers)} holes so far")
    for line in table(answers):
        click.echo(line)


if __name__ == "__main__":
    main()
