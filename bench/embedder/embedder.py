"""Makes the seed embedder: ``build`` pairs, ``train`` (resumes) and save it.

    python bench/embedder/embedder.py build --sources DIR --work WORK
    python bench/embedder/embedder.py train --work WORK --out FOLDER

``--sources`` holds a clone of each repository of recipe.toml at ``owner+name`` (bare or not).
"""

from __future__ import annotations

import json
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import click
import pairs as seed_pairs

RECIPE = Path(__file__).parent / "recipe.toml"


def _recipe() -> dict[str, Any]:
    return tomllib.loads(RECIPE.read_text("utf-8"))


def load_pairs(path: Path) -> list[seed_pairs.Pair]:
    """Read what ``build`` wrote for one repository."""
    with path.open(encoding="utf-8") as lines:
        return [seed_pairs.Pair(**json.loads(line)) for line in lines]


@click.group()
def main() -> None:
    """Make the seed embedder."""


@main.command()
@click.option("--sources", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--work", type=click.Path(path_type=Path), required=True)
def build(sources: Path, work: Path) -> None:
    """Mine pairs; one file for each repository, those there are kept."""
    from git_copilot.index.git.repository import GitRepository

    recipe = _recipe()
    data = recipe["data"]
    work.mkdir(parents=True, exist_ok=True)
    for facts in recipe["repository"]:
        name = facts["name"].replace("/", "+")
        out = work / f"{name}.jsonl"
        if out.exists():
            continue
        begun = time.monotonic()
        source = sources / name
        repo = GitRepository.discover(source / "repo" if (source / "repo").is_dir() else source)
        commits = seed_pairs.commits_of(repo, facts["commit"], data["trees"])
        found = seed_pairs.read_pairs(repo, facts["name"], commits, data, data["seed"])
        temporary = out.with_suffix(".part")
        with temporary.open("w", encoding="utf-8") as file:
            for p in found:
                row = {"query": p.query, "text": p.text, "group": p.group}
                file.write(json.dumps(row) + "\n")
        temporary.replace(out)
        click.echo(f"{facts['name']}: {len(found)} pairs in {time.monotonic() - begun:.0f} s")


@main.command()
@click.option("--work", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def train(work: Path, out: Path) -> None:
    """Train and save; goes on after the last epoch that was finished."""
    import contrast
    import torch
    from safetensors.torch import load_file, save_file
    from tokenizers import Tokenizer

    from git_copilot.assistant.models.catalogue import resolve_model

    recipe = _recipe()
    held = set(recipe["data"]["validation"])
    pairs = [p for path in sorted(work.glob("*.jsonl")) for p in load_pairs(path)]
    learnt = [p for p in pairs if p.group not in held]
    checked = [
        replace(p, query=contrast.last_lines(p.query, recipe["data"]["validation_lines"]))
        for p in pairs
        if p.group in held
    ]
    training = recipe["training"]
    settings = contrast.Contrast(**{**training, "windows": tuple(training["windows"])})
    model = recipe["model"]
    vocabulary, state = work / "tokenizer.json", work / "epoch.safetensors"
    texts = list(dict.fromkeys(p.text for p in learnt))
    if vocabulary.exists():
        tokenizer = Tokenizer.from_file(str(vocabulary))
    else:
        tokenizer = contrast.train_tokenizer(texts, model["vocabulary"])
        tokenizer.save(str(vocabulary))
    begin = 0
    if state.exists():
        saved = load_file(state)
        begin = int(saved.pop("epoch"))
        tokens = contrast.Tokens(**saved)
    else:
        counts = contrast.count_tokens(tokenizer, texts)
        teacher = resolve_model(model["teacher"])
        tokens = contrast.first_tokens(tokenizer, counts, model["dimensions"], teacher)
    begun = time.monotonic()

    def tell(epoch: int, loss: float, tokens: contrast.Tokens) -> None:
        parts = {"vectors": tokens.vectors, "log_weights": tokens.log_weights}
        save_file({**parts, "epoch": torch.tensor(epoch)}, state)
        weights = tokens.merged()
        figures = " ".join(
            f"{at}: {contrast.recall(tokenizer, weights, checked, at):.4f}" for at in (5, 10)
        )
        seconds = time.monotonic() - begun
        click.echo(f"{seconds:6.0f} s  epoch {epoch}  loss {loss:.4f}  recall at {figures}")

    click.echo(f"{len(learnt)} pairs, {len(checked)} for validation, {len(texts)} texts")
    if begin == 0:
        tell(0, float("nan"), tokens)
    tokens = contrast.train(tokenizer, tokens, learnt, settings, begin=begin, on_epoch=tell)
    contrast.save(tokenizer, tokens.merged(), out)


if __name__ == "__main__":
    main()
