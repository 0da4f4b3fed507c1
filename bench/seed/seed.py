"""Makes the seed adapter: ``build`` examples, ``train`` (resumes), ``export`` the adapter.

    python bench/seed/seed.py [--recipe FILE] build --sources DIR --work WORK [--part I/N]
    python bench/seed/seed.py train --work WORK [--hours H] [--decay STEPS] [--start ADAPTER]
    python bench/seed/seed.py export --work WORK --out assistant/seed_adapter

``--sources`` holds a clone of each repository of recipe.toml at ``owner+name`` (bare or not).
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import click
import data as seed_data

RECIPE = Path(__file__).parent / "recipe.toml"
FINAL = "final"


@click.group()
@click.option("--recipe", type=click.Path(path_type=Path, exists=True), default=RECIPE)
@click.pass_context
def main(context: click.Context, recipe: Path) -> None:
    """Make the seed adapter."""
    context.obj = tomllib.loads(recipe.read_text("utf-8"))


def _base(work: Path, recipe: dict[str, Any]) -> Path:
    """SmolLM2 with the sentinels named, made once in the work folder."""
    from git_copilot.assistant.models.catalogue import resolve_model
    from git_copilot.assistant.models.seed_adapter_files import prepare_base

    folder = work / "base"
    if not folder.exists():
        temporary = work / ".base"
        shutil.rmtree(temporary, ignore_errors=True)
        prepare_base(resolve_model(recipe["model"]["base"]), temporary)
        temporary.rename(folder)
    return folder


def _forbidden(files: tuple[Path, ...], length: int) -> set[str]:
    """Runs of tokens of the evaluation's problems and solutions."""
    found: set[str] = set()
    for path in files:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                found |= seed_data.grams(row["prompt"] + row["canonical_solution"], length)
    return found


@main.command()
@click.option("--sources", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--work", type=click.Path(path_type=Path), required=True)
@click.option("--evaluation", type=click.Path(path_type=Path), multiple=True,
              help="HumanEval.jsonl.gz: what must not be in the data.")  # fmt: skip
@click.option("--part", default="0/1", help="I/N: every N-th repository from the I-th on.")
@click.pass_obj
def build(
    recipe: dict[str, Any], sources: Path, work: Path, evaluation: tuple[Path, ...], part: str
) -> None:
    """Mine, cut, retrieve and render; one file for each repository, those there are kept."""
    from git_copilot.assistant.core.config import Settings
    from git_copilot.assistant.models.catalogue import resolve_model
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer
    from git_copilot.index.embedding.embedders import load_embedder

    work.mkdir(parents=True, exist_ok=True)
    tokenizer = TextTokenizer.load(_base(work, recipe))
    name = Settings().embedder
    embedder = load_embedder(name, resolve_model(name))
    forbidden = _forbidden(evaluation, recipe["data"]["contamination_tokens"])
    first, step = map(int, part.split("/"))
    for facts in recipe["repository"][first::step]:
        name = facts["name"].replace("/", "+")
        out = work / f"{name}.npz"
        if out.exists():
            continue
        begun = time.monotonic()
        source = sources / name
        source = source / "repo" if (source / "repo").is_dir() else source
        examples, counts = seed_data.read_repository(
            source, facts, recipe["data"], work / f"{name}.db", tokenizer, embedder, forbidden
        )
        seed_data.save(out, facts["name"], examples)
        counts["seconds"] = round(time.monotonic() - begun)
        (work / f"{name}.json").write_text(json.dumps(counts) + "\n", "utf-8")
        click.echo(json.dumps(counts))


@main.command()
@click.option("--work", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--hours", type=float, default=None, help="Stop after so long; resumes.")
@click.option("--decay", type=int, default=0, help="End: let the rate fall in so many steps.")
@click.option("--start", type=click.Path(path_type=Path, exists=True), default=None,
              help="An adapter to go on from.")  # fmt: skip
@click.pass_obj
def train(
    recipe: dict[str, Any], work: Path, hours: float | None, decay: int, start: Path | None
) -> None:
    """Train from the last checkpoint on. A decay starts from a copy of the checkpoint."""
    import torch
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM

    from git_copilot.assistant.backend.allocator import keep_freed_memory
    from git_copilot.assistant.training import checkpoint
    from git_copilot.assistant.training.batches import Decay, TrainingRecipe
    from git_copilot.assistant.training.trainer import train_adapter

    keep_freed_memory()
    examples = [e for p in sorted(work.glob("*.npz")) for e in seed_data.load(p)]
    run = work / "run"
    ending = None
    if decay:
        target = work / FINAL
        if not target.exists():
            target.mkdir()
            shutil.copy(run / checkpoint.NAME, target)
            with safe_open(target / checkpoint.NAME, framework="pt") as file:
                (target / "begin").write_text(file.metadata()["step"])
        ending = Decay(int((target / "begin").read_text()), decay)
        run = target
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(_base(work, recipe), dtype=torch.bfloat16)
    begun = time.monotonic()

    def show(label: str, done: int, total: int) -> None:
        click.echo(f"{time.monotonic() - begun:8.0f} s  {label} {done}/{total}")

    def loss(step: int, value: float) -> None:
        click.echo(f"step {step} loss {value:.4f}")

    report = train_adapter(
        model.to(device), examples, TrainingRecipe(**recipe["training"]), model_name=recipe["model"]["base"],
        work=run, seconds=hours * 3600 if hours else None, decay=ending, start=start,
        progress=show, on_loss=loss,
    )  # fmt: skip
    click.echo(json.dumps({f: getattr(report, f) for f in report.__slots__}))


@main.command()
@click.option("--work", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def export(work: Path, out: Path) -> None:
    """Copy the decayed adapter to where the package takes it from."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copyfile(work / FINAL / "candidate" / name, out / name)


if __name__ == "__main__":
    main()
