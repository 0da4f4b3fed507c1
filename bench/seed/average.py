"""Averages several LoRA adapters of one base model into one adapter.

    python bench/seed/average.py --adapter DIR --adapter DIR [--adapter DIR…] --rank R --out DIR

The mean of the weights of models fine-tuned from one base is often better than each of them
(Wortsman et al. 2022, "Model soups", arXiv 2203.05482). The adapters' products are averaged for
each layer and written as the nearest product of rank R (Eckart & Young 1936).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import torch
from safetensors.torch import load_file, save_file

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
DOWN, UP = ".lora_A.weight", ".lora_B.weight"


def read(folder: Path) -> tuple[dict[str, torch.Tensor], float, dict[str, Any]]:
    """The weights of an adapter, the scale of their product, and its configuration."""
    config = json.loads((folder / CONFIG).read_text("utf-8"))
    return load_file(folder / WEIGHTS), config["lora_alpha"] / config["r"], config


def average(folders: list[Path], rank: int, scale: float) -> tuple[dict[str, torch.Tensor], float]:
    """The mean as weights that are scaled by ``scale``, and the share of its energy (the sum of
    squares) that the rank leaves out.

    :raises ValueError: the adapters are not of the same layers.
    """
    parts = [read(folder)[:2] for folder in folders]
    names = {name.removesuffix(DOWN) for name in parts[0][0] if name.endswith(DOWN)}
    if any({n.removesuffix(DOWN) for n in w if n.endswith(DOWN)} != names for w, _ in parts):
        raise ValueError("the adapters are not of the same layers")
    made: dict[str, torch.Tensor] = {}
    whole = kept = 0.0
    for name in sorted(names):
        ups = torch.cat([w[name + UP].double() * s / len(parts) for w, s in parts], dim=1)
        downs = torch.cat([w[name + DOWN].double() for w, _ in parts], dim=0)
        # The product's singular values without forming it: of the factors' triangles.
        left, upper = torch.linalg.qr(ups)
        right, lower = torch.linalg.qr(downs.T)
        u, values, v = torch.linalg.svd(upper @ lower.T)
        root = values[:rank].sqrt()
        made[name + UP] = ((left @ u[:, :rank]) * root / scale).bfloat16().contiguous()
        made[name + DOWN] = (root[:, None] * (v[:rank] @ right.T)).bfloat16().contiguous()
        whole += float((values**2).sum())
        kept += float((values[:rank] ** 2).sum())
    return made, 1 - kept / whole


@click.command()
@click.option("--adapter", "adapters", type=click.Path(path_type=Path, exists=True), multiple=True,
              required=True)  # fmt: skip
@click.option("--rank", type=click.IntRange(1), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(adapters: tuple[Path, ...], rank: int, out: Path) -> None:
    """Average adapters."""
    _, scale, config = read(adapters[0])
    weights, lost = average(list(adapters), rank, scale)
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / WEIGHTS, metadata={"format": "pt"})
    facts = {**config, "r": rank, "lora_alpha": round(scale * rank)}
    (out / CONFIG).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    click.echo(f"mean of {len(adapters)}: rank {rank} leaves out {lost:.2%} of it")


if __name__ == "__main__":
    main()
