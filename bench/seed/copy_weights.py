"""Fits how far the seeded model copies from what stands around (assistant/copying.py).

    python bench/seed/copy_weights.py --sources DIR --model FOLDER [--out assistant/seed_adapter]

``--sources`` holds a clone of each repository of recipe.toml's ``[copying]`` at ``owner+name``,
its HEAD at the commit given there. ``--model`` is the seeded model, whose training saw none of
them. For every token of the middles of their newest holes, each with what was around it when its
commit was made, the model's probabilities are mixed with what would be copied; the weights make
these tokens most likely. Printed is what a token costs without and with copying, each repository
by weights that come from the others.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import commits
import torch

from git_copilot.assistant.config import Settings
from git_copilot.assistant.copying import LONGEST, NAME, Copier, Source, Weights
from git_copilot.assistant.dataset import Cut, make_example, serving_budget
from git_copilot.assistant.engine import Engine
from git_copilot.assistant.loading import load_model
from git_copilot.assistant.picking import Spellings
from git_copilot.assistant.tokens import TextTokenizer
from git_copilot.index.errors import CopilotError
from git_copilot.index.types import Hit, no_progress

RECIPE = Path(__file__).parent / "recipe.toml"
RIDGE = 1e-3
FIGURES = 4  # of a match, besides its length
_LEAST = 1e-7


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a middle where something could be copied, or nothing (``length`` 0).

    ``features`` are those of :class:`~git_copilot.assistant.copying.Weights` but for the length;
    ``model`` and ``copied`` are the probabilities that either gives to the right token, ``copied``
    within what the model leaves to tokens that do not end.
    """

    repository: str
    length: int
    features: tuple[float, float, float, float]
    model: float
    copied: float


def observe(
    engine: Engine, copier: Copier, cuts: Sequence[Cut], hits: Sequence[list[Hit]], name: str
) -> Iterator[Token]:
    """The tokens of all middles, without their ends, which are never copied."""
    settings = Settings()
    for cut, found in zip(cuts, hits, strict=True):
        example = make_example(
            engine.tokenizer, cut, found, serving_budget(settings), name, settings.snippets
        )
        assert example.around is not None
        source = Source(copier, example.around)
        rows = engine.logits(example.prompt_ids, example.middle_ids)
        for i, right in enumerate(example.middle_ids[:-1]):
            chances = torch.softmax(rows[i], dim=-1)
            sure, model = chances.max(), float(chances[right])
            match = source.match(engine.tokenizer.decode(list(example.middle_ids[:i])))
            if match is None:
                yield Token(name, 0, (0.0, 0.0, 0.0, 0.0), model, 0.0)
                continue
            shares = torch.tensor(match.shares)
            agreed = (shares * chances[match.tokens]).sum()
            copied = shares[match.tokens.index(right)] if right in match.tokens else 0.0
            going_on = 1 - float(chances[copier.ends].sum())
            logs = torch.stack([shares.max(), sure, agreed + _LEAST]).log()
            features = (float(logs[0]), float(sure), float(logs[1]), float(logs[2]))
            yield Token(name, match.length, features, model, float(copied) * going_on)


class Mixture(torch.nn.Module):
    """The weights as they are fitted; :class:`~git_copilot.assistant.copying.Weights` as used."""

    def __init__(self) -> None:
        super().__init__()
        self.figures = torch.nn.Parameter(torch.zeros(FIGURES))
        self.lengths = torch.nn.Parameter(torch.full((LONGEST,), -1.0))

    def nats(self, tokens: Sequence[Token]) -> torch.Tensor:
        """The mean cost of a token."""
        lengths = torch.tensor([t.length for t in tokens])
        features = torch.tensor([t.features for t in tokens])
        model = torch.tensor([t.model for t in tokens])
        copied = torch.tensor([t.copied for t in tokens])
        bias = self.lengths[(lengths - 1).clamp(min=0)]
        trust = torch.sigmoid(features @ self.figures + bias) * (lengths > 0)
        return -((1 - trust) * model + trust * copied).clamp(min=1e-9).log().mean()

    def weights(self) -> Weights:
        share, sure, log_sure, agreed = self.figures.tolist()
        return Weights(share, sure, log_sure, agreed, tuple(self.lengths.tolist()))


def fit(tokens: Sequence[Token]) -> Mixture:
    """The weights that make ``tokens`` most likely."""
    torch.manual_seed(0)
    mixture = Mixture()
    optimizer = torch.optim.LBFGS(mixture.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        size = sum((p**2).sum() for p in mixture.parameters())
        value = mixture.nats(tokens) + RIDGE * size
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return mixture


def read(source: Path, facts: dict[str, Any], recipe: dict[str, Any]) -> Any:
    """A repository's cuts and what is found for each.

    :raises CopilotError: it is not at the recipe's commit.
    """
    from git_copilot.index.git import GitRepository

    source = source / "repo" if (source / "repo").is_dir() else source
    head = GitRepository.discover(source).head_commit()
    if head != facts["commit"]:
        raise CopilotError(f"{source} is at {head}, not at {facts['commit']}", "check it out")
    return commits.read_repository(
        source, recipe["kinds"], recipe["holes"], Settings(), no_progress
    )


@click.command()
@click.option("--sources", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path, exists=True), help="Write the weights here.")
def main(sources: Path, model: Path, out: Path | None) -> None:
    """Fit the weights of copying."""
    recipe = tomllib.loads(RECIPE.read_text("utf-8"))["copying"]
    tokenizer = TextTokenizer.load(model)
    engine = Engine(load_model(model), tokenizer)
    copier = Copier(tokenizer, Weights(0, 0, 0, 0, (0.0,) * LONGEST), Spellings(tokenizer))
    tokens: list[Token] = []
    for facts in recipe["repository"]:
        name, cuts, hits = read(sources / facts["name"].replace("/", "+"), facts, recipe)
        tokens += observe(engine, copier, cuts, hits, name)
        click.echo(f"{name}: {len(cuts)} holes, {len(tokens)} tokens so far")
    names = list(dict.fromkeys(t.repository for t in tokens))
    for name in names if len(names) > 1 else []:
        own = [t for t in tokens if t.repository == name]
        mixture = fit([t for t in tokens if t.repository != name])
        alone = -torch.tensor([t.model for t in own]).clamp(min=1e-9).log().mean()
        click.echo(f"{name}: {float(alone):.3f} -> {float(mixture.nats(own)):.3f} nats a token")
    found = fit(tokens).weights()
    facts = {
        "share": found.share, "sure": found.sure, "log_sure": found.log_sure,
        "agreed": found.agreed, "lengths": list(found.lengths),
    }  # fmt: skip
    text = json.dumps({k: _rounded(v) for k, v in facts.items()}, indent=1)
    click.echo(text)
    if out is not None:
        (out / NAME).write_text(f"{text}\n", "utf-8")


def _rounded(value: float | list[float]) -> Any:
    return [round(v, 4) for v in value] if isinstance(value, list) else round(value, 4)


if __name__ == "__main__":
    main()
