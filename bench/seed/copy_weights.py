"""Fits the copy weights of the seeded model (assistant/decoding/copy_model.py).

    python bench/seed/copy_weights.py --sources DIR --model FOLDER [--out assistant/seed_adapter]

``--sources`` holds a clone of each repository of recipe.toml's ``[copying]`` at ``owner+name``,
its HEAD at the commit given there. ``--model`` is the seeded model, which was not trained on any of
them. For each token of the middles of their newest holes, with the text around it at its commit,
the model's probabilities are mixed with those of copying; the weights maximise the likelihood of
these tokens. Prints the cost of a token without and with copying, for each repository with weights
from the others. ``line_end`` and ``token_reward`` are not fitted here, see line_end.py and
reward.py.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import click
import commits
import torch

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.examples import Example, make_example, serving_budget
from git_copilot.assistant.decoding.copy_model import CopyModel
from git_copilot.assistant.decoding.copy_source import CopySource
from git_copilot.assistant.decoding.copy_weights import (
    LONGEST,
    MIN_PROBABILITY,
    NAME,
    CopyWeights,
    read_copy_weights,
)
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import no_progress
from git_copilot.index.git.repository import GitRepository

RECIPE = Path(__file__).parent / "recipe.toml"
RIDGE = 1e-3
FIGURES = 4  # of a match, besides its length


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a middle, its end included.

    :ivar length: tokens that match elsewhere, 0 where nothing can be copied.
    :ivar share: the largest share of a continuation; ``copied`` is that of the right token.
    :ivar model: the model's probability of the right token, ``ending`` that of an end, ``sure``
        of its first choice among tokens that do not end, ``agreed`` of what would be copied.
    :ivar begun: whether something but white space stands before it.
    """

    repository: str
    ends: bool
    model: float
    ending: float
    sure: float
    length: int = 0
    share: float = 1.0
    copied: float = 0.0
    agreed: float = 0.0
    begun: bool = True


def observe(
    engine: Engine, copy_model: CopyModel, examples: Sequence[Example], name: str
) -> Iterator[Token]:
    """The tokens of all middles."""
    for example in examples:
        assert example.copy_context is not None
        source = CopySource(copy_model, example.copy_context)
        rows = engine.logits(example.prompt_ids, example.middle_ids)
        for i, right in enumerate(example.middle_ids):
            probabilities = torch.softmax(rows[i], dim=-1)
            ends, model = right in copy_model.end_ids, float(probabilities[right])
            ending = float(probabilities[copy_model.end_ids].sum())
            probabilities[copy_model.end_ids] = 0
            sure = float(probabilities.max())
            written = engine.tokenizer.decode(list(example.middle_ids[:i]))
            begun, match = bool(written.strip()), source.match(written)
            if match is None or ends:
                yield Token(name, ends, model, ending, sure, begun=begun)
                continue
            shares = torch.tensor(match.shares)
            agreed = float((shares * probabilities[match.tokens]).sum())
            copied = match.shares[match.tokens.index(right)] if right in match.tokens else 0.0
            yield Token(
                name, ends, model, ending, sure,
                match.length, max(match.shares), copied, agreed, begun,
            )  # fmt: skip


class Mixture(torch.nn.Module):
    """The weights as they are fitted; :class:`~git_copilot.assistant.decoding.copy_weights.CopyWeights` as used."""

    def __init__(self) -> None:
        super().__init__()
        self.figures = torch.nn.Parameter(torch.zeros(FIGURES))
        self.lengths = torch.nn.Parameter(torch.full((LONGEST,), -1.0))
        self.ending = torch.nn.Parameter(torch.zeros(()))

    def nats(self, tokens: Sequence[Token]) -> torch.Tensor:
        """The mean cost of a token, ends included."""

        def column(values: Iterable[float]) -> torch.Tensor:
            return torch.tensor(list(values), dtype=torch.float32)

        ends = torch.tensor([t.ends for t in tokens])
        lengths = torch.tensor([t.length for t in tokens])
        ending = column(t.ending for t in tokens).clamp(1e-7, 1 - 1e-6)
        begun = torch.tensor([t.begun for t in tokens])
        ended = torch.sigmoid(torch.logit(ending) + self.ending * begun)
        scale = (1 - ended) / (1 - ending)  # of all that does not end
        sure = torch.maximum(column(t.sure for t in tokens) * scale, ended)
        agreed = column(t.agreed for t in tokens) * scale + MIN_PROBABILITY
        share = column(t.share for t in tokens)
        features = torch.stack([share.log(), sure, sure.log(), agreed.log()], dim=-1)
        bias = self.lengths[(lengths - 1).clamp(min=0)]
        copied_part = torch.sigmoid(features @ self.figures + bias) * (lengths > 0)
        copied = column(t.copied for t in tokens) * (1 - ended)
        continued = (1 - copied_part) * column(
            t.model for t in tokens
        ) * scale + copied_part * copied
        return -torch.where(ends, ended, continued).clamp(min=1e-9).log().mean()

    def weights(self) -> CopyWeights:
        share, sure, log_sure, agreed = self.figures.tolist()
        lengths = tuple(self.lengths.tolist())
        return CopyWeights(share, sure, log_sure, agreed, lengths, float(self.ending.detach()))


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


def read_recipe() -> dict[str, Any]:
    """The ``[copying]`` section of the recipe."""
    found: dict[str, Any] = tomllib.loads(RECIPE.read_text("utf-8"))["copying"]
    return found


def read_fitted(model: Path) -> CopyWeights:
    """The weights in a model's folder.

    :raises click.ClickException: it has none.
    """
    weights = read_copy_weights(model)
    if weights is None:
        raise click.ClickException(f"{model} has no copy weights: run copy_weights.py first")
    return weights


def read_examples(
    sources: Path, recipe: dict[str, Any], tokenizer: TextTokenizer
) -> Iterator[tuple[str, list[Example]]]:
    """The name of each repository of the recipe and its holes, as they are served.

    :raises CopilotError: one is not at the recipe's commit.
    """
    settings, wanted = Settings(), commits.Wanted(recipe["kinds"], recipe["holes"])
    for facts in recipe["repository"]:
        source = sources / facts["name"].replace("/", "+")
        source = source / "repo" if (source / "repo").is_dir() else source
        head = GitRepository.discover(source).head_commit()
        if head != facts["commit"]:
            raise CopilotError(f"{source} is at {head}, not at {facts['commit']}", "check it out")
        name, cuts, hits = commits.read_repository(source, wanted, settings, tokenizer, no_progress)
        budget = serving_budget(settings)
        yield (
            name,
            [
                make_example(tokenizer, cut, found, budget, name, settings.snippets)
                for cut, found in zip(cuts, hits, strict=True)
            ],
        )


@click.command()
@click.option("--sources", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--model", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path, exists=True), help="Write the weights here.")
def main(sources: Path, model: Path, out: Path | None) -> None:
    """Fit the copy weights."""
    recipe, tokenizer = read_recipe(), TextTokenizer.load(model)
    engine = Engine(load_model(model), tokenizer)
    copy_model = CopyModel(
        tokenizer, CopyWeights(0, 0, 0, 0, (0.0,) * LONGEST), PrefixIndex(tokenizer)
    )
    tokens: list[Token] = []
    for name, examples in read_examples(sources, recipe, tokenizer):
        tokens += observe(engine, copy_model, examples, name)
        click.echo(f"{name}: {len(examples)} holes, {len(tokens)} tokens so far")
    names = list(dict.fromkeys(t.repository for t in tokens))
    for name in names if len(names) > 1 else []:
        own = [t for t in tokens if t.repository == name]
        mixture = fit([t for t in tokens if t.repository != name])
        alone = -torch.tensor([t.model for t in own]).clamp(min=1e-9).log().mean()
        click.echo(
            f"{name}: {float(alone):.3f} -> {float(mixture.nats(own).detach()):.3f} nats a token"
        )
    chosen = {name: recipe.get(name) for name in ("line_end", "token_reward")}
    found = asdict(replace(fit(tokens).weights(), **chosen))
    text = json.dumps({name: _rounded(value) for name, value in found.items()}, indent=1)
    click.echo(text)
    if out is not None:
        (out / NAME).write_text(f"{text}\n", "utf-8")


def _rounded(value: float | tuple[float, ...] | None) -> Any:
    if isinstance(value, tuple):
        return [round(v, 4) for v in value]
    return None if value is None else round(value, 4)


if __name__ == "__main__":
    main()
