"""Speed of training: ``python bench/train.py [--quick] [--json] [--isa avx2]``.

Our trainer and transformers' `Trainer` with PEFT train the same adapter on the same examples in the
same order, from the same weights, without dropout, each in a process of its own and in turns. Told
are trained tokens per second (padding does not count; the first step is left out), the peak of
resident memory, and the loss of every step, which must be equal.

Examples are windows of the standard library, of 200 to 900 tokens, a line or a few of which are to
be completed: as many tokens, and as many with loss, as a refresh has.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from about import machine, output
from isa import add_isa_option, limit_instructions

from git_copilot.assistant.core.process import calm_threads

limit_instructions()
calm_threads()  # both before torch is imported

ROOT = Path(__file__).resolve().parent.parent
SEED = 0
BATCH = 8
NAMES = ("argparse.py", "inspect.py", "tarfile.py", "typing.py", "subprocess.py", "ast.py")


@dataclass(frozen=True, slots=True)
class Window:
    """An example as the trainer takes it."""

    prompt_ids: tuple[int, ...]
    middle_ids: tuple[int, ...]
    weight: float = 1.0
    open_tokens: int = 0
    teaches_end: bool = True

    @property
    def size(self) -> int:
        return len(self.prompt_ids) + len(self.middle_ids)

    @property
    def key(self) -> str:
        return f"{hash(self.prompt_ids)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of few steps")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--model", default="copilot-135m-v5")
    parser.add_argument("--steps", type=int, default=8, help="of 8 examples each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=("ours", "trainer"), help=argparse.SUPPRESS)
    add_isa_option(parser)
    options = parser.parse_args()
    if options.quick:
        options.steps, options.rounds = 3, 1
    if options.child:
        print(json.dumps(RUNS[options.child](options.model, options.steps)))
        return 0
    result = compare(options)
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Let both take turns, in new processes."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in RUNS}
    for turn in range(options.rounds):
        for name in list(RUNS)[:: 1 if turn % 2 else -1]:
            found[name].append(_run(name, options))
    figures = {
        name: {
            "tokens_per_s": round(statistics.median(run["tokens_per_s"] for run in runs), 1),
            "peak_mb": round(statistics.median(run["peak_mb"] for run in runs)),
            "dtype": runs[0]["dtype"],
            "losses": [round(loss, 4) for loss in runs[0]["losses"]],
        }
        for name, runs in found.items()
    }
    ours, theirs = figures["ours"], figures["trainer"]
    pairs = zip(ours["losses"], theirs["losses"], strict=True)
    return {
        "bench": "train",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "settings": {"model": options.model, "steps": options.steps, "rounds": options.rounds},
        "figures": figures,
        "ratio": round(ours["tokens_per_s"] / theirs["tokens_per_s"], 2),
        "largest_difference_of_losses": round(max(abs(a - b) for a, b in pairs), 4),
    }


def _run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", name, "--model", options.model]
    done = subprocess.run(
        [*command, "--steps", str(options.steps)], stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def windows(tokenizer: Any, count: int) -> list[Window]:
    """Examples, the same on every machine with the same Python."""
    library, rng, found = Path(sysconfig.get_paths()["stdlib"]), random.Random(SEED), []
    sources = [tokenizer.encode((library / name).read_text("utf-8")) for name in NAMES]
    while len(found) < count:
        ids = rng.choice(sources)
        size, middle = rng.randint(200, 900), rng.randint(8, 48)
        start = rng.randrange(len(ids) - size)
        window = tuple(ids[start : start + size])
        found.append(Window(window[:-middle], window[-middle:]))
    return found


def run_ours(model: str, steps: int) -> dict[str, Any]:
    """Train with git-copilot's trainer."""
    from git_copilot.assistant.backend.loading import load_model
    from git_copilot.assistant.backend.precision import dtype_name, load_dtype
    from git_copilot.assistant.models.catalogue import resolve_model
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer
    from git_copilot.assistant.training import lora
    from git_copilot.assistant.training.batches import TrainingRecipe, plan_steps
    from git_copilot.assistant.training.trainer import train_adapter

    lora.DROPOUT = 0.0  # else the curves differ by chance
    folder = resolve_model(model)
    examples = windows(TextTokenizer.load(folder), steps * BATCH)
    recipe = TrainingRecipe(epochs=1, batch=BATCH, warmup_steps=1, seed=SEED)
    order = plan_steps(examples, recipe)
    dtype = load_dtype("cpu")
    clock = _Clock()
    with tempfile.TemporaryDirectory() as work:
        train_adapter(
            load_model(folder, dtype=dtype), examples, recipe,
            model_name=model, work=Path(work), on_loss=lambda step, loss: clock.tick(loss),
        )  # fmt: skip
    return clock.report([sum(examples[i].size for i in step) for step in order], dtype_name(dtype))


def run_trainer(model: str, steps: int) -> dict[str, Any]:
    """Train with transformers' Trainer and PEFT."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainerCallback, TrainingArguments
    from transformers.utils import logging

    from git_copilot.assistant.backend.precision import dtype_name, load_dtype
    from git_copilot.assistant.models.catalogue import resolve_model
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer
    from git_copilot.assistant.training.batches import TrainingRecipe, plan_steps

    quiet: Any = logging
    quiet.set_verbosity_error()
    quiet.disable_progress_bar()
    folder = resolve_model(model)
    examples = windows(TextTokenizer.load(folder), steps * BATCH)
    recipe = TrainingRecipe(epochs=1, batch=BATCH, warmup_steps=1, seed=SEED)
    order = plan_steps(examples, recipe)
    dtype = load_dtype("cpu")
    wrapped = _with_lora(folder, dtype, recipe, torch, LoraConfig, get_peft_model)
    clock = _Clock()

    class Ticks(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                clock.tick(float(logs["loss"]))

    with tempfile.TemporaryDirectory() as work:
        arguments = TrainingArguments(
            output_dir=work, per_device_train_batch_size=BATCH, num_train_epochs=1,
            learning_rate=recipe.learning_rate, lr_scheduler_type="constant", weight_decay=0.01,
            max_grad_norm=recipe.clip, logging_steps=1, save_strategy="no", report_to=[],
            use_cpu=True, disable_tqdm=True, seed=SEED, remove_unused_columns=False,
            dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = _in_order(Trainer)(
            model=wrapped, args=arguments, data_collator=_collated(torch),
            train_dataset=[examples[i] for step in order for i in step], callbacks=[Ticks()],
        )  # fmt: skip
        trainer.remove_callback(_printer())
        trainer.train()
    return clock.report([sum(examples[i].size for i in step) for step in order], dtype_name(dtype))


def _with_lora(folder: Path, dtype: Any, recipe: Any, torch: Any, config: Any, wrap: Any) -> Any:
    """The model as PEFT's documentation wraps it, with the recipe's rank and the same first
    weights as ours."""
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    torch.manual_seed(recipe.seed)
    facts = config(
        r=recipe.rank, lora_alpha=2 * recipe.rank, lora_dropout=0.0, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    return wrap(base, facts)


def _in_order(trainer: Any) -> Any:
    """A Trainer that takes the examples in their order, as ours does."""

    class InOrder(trainer):  # type: ignore[misc]
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            from torch.utils.data import SequentialSampler

            return SequentialSampler(self.train_dataset)

    return InOrder


def _printer() -> Any:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


def _collated(torch: Any) -> Callable[[Sequence[Window]], dict[str, Any]]:
    """Batches padded behind the text, with loss on the middles."""

    def collate(batch: Sequence[Window]) -> dict[str, Any]:
        length = max(window.size for window in batch)
        ids = torch.zeros(len(batch), length, dtype=torch.long)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
        for row, window in enumerate(batch):
            ids[row, : window.size] = torch.tensor(window.prompt_ids + window.middle_ids)
            mask[row, : window.size] = 1
            start = len(window.prompt_ids)
            labels[row, start : window.size] = ids[row, start : window.size]
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    return collate


class _Clock:
    """When each step ended, and its loss."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._losses: list[float] = []

    def tick(self, loss: float) -> None:
        self._moments.append(time.perf_counter())
        self._losses.append(loss)

    def report(self, tokens: Sequence[int], dtype: str) -> dict[str, Any]:
        seconds = self._moments[-1] - self._moments[0]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "tokens_per_s": sum(tokens[1:]) / seconds,
            "peak_mb": peak / 1024,
            "losses": self._losses,
            "dtype": dtype,
        }


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [
        f"{name:<10}{row['tokens_per_s']:>8.1f} tokens/s{row['peak_mb']:>8} MB  {row['dtype']}"
        for name, row in result["figures"].items()
    ]
    lines.append(
        f"{result['ratio']} times as fast; losses differ by at most"
        f" {result['largest_difference_of_losses']}"
    )
    return "\n".join(lines)


RUNS: dict[str, Callable[[str, int], dict[str, Any]]] = {"ours": run_ours, "trainer": run_trainer}


if __name__ == "__main__":
    sys.exit(main())
