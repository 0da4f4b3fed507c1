"""Trains the default model from a pack, on one accelerator, in calls of a few minutes.

    python bench/seed/train_cuda.py --corpus corpus.xz --base base.tar.xz --work WORK --out OUT \\
        --budget 1500 --seconds 520

Each call goes on from the last checkpoint in WORK and ends after ``--seconds``; the learning rate follows
a cosine that ends with ``--budget`` seconds of training over all calls. OUT gets the adapter as it is
(``adapter_config.json``, ``adapter_model.safetensors``: peft loads them) and ``report.json`` with
the losses. Needs torch, transformers and safetensors. What is larger than can be carried at once may
be given in parts (``split -d -b 30M corpus.xz corpus.xz.``, then ``--corpus corpus.xz.00 --corpus
corpus.xz.01``), and ``--part-bytes`` splits the adapter, which `cat` joins again.

The base is frozen; every linear layer gets a low-rank sum whose product is added to the weights before
each pass, which at this batch size costs next to nothing. Examples are packed into rows, each with a
mask of its own and its own positions; they are cut and retrieved for by worker processes
(pieces.py), each from every n-th source. Rows depend on the seed, the worker and their number alone, so
that a run that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / ".dev")]
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the workers are processes

import torch
from packed import PackedFile, read_pack
from pieces import Piece, Repository, make_piece
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.assistant.training.batches import NONE_EXCLUDED
from git_copilot.assistant.training.loss import ROWS, head_loss

# Of the files, one in so many is kept for the evaluation.
HELD_OUT = 200
OPEN_WEIGHT = 0.5
CHECKPOINT = "checkpoint.safetensors"
PADDING = -1


@dataclass(frozen=True, slots=True)
class Options:
    """``row`` is in tokens, ``rows`` of a step; ``rank`` that of training, ``export_rank`` at most
    that of the adapter; ``workers`` prepare examples (0: this process)."""

    row: int = 2048
    rows: int = 32
    rank: int = 96
    export_rank: int = 96
    alpha: float = 2.0
    learning_rate: float = 1e-3
    warmup: float = 0.02
    clip: float = 1.0
    workers: int = 14
    seed: int = 0


class LowRank(torch.nn.Module):
    """A frozen linear layer with a trained low-rank sum; ``a`` is (rank, inputs), ``b`` (outputs,
    rank)."""

    def __init__(self, base: torch.nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base, self.alpha = base, alpha
        shape = {"device": base.weight.device, "dtype": torch.float32}
        self.a = torch.nn.Parameter(torch.empty(rank, base.in_features, **shape))
        self.b = torch.nn.Parameter(torch.zeros(base.out_features, rank, **shape))
        torch.nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Rounded as the merged weights of a served model are.
        weight = self.base.weight.float() + self.alpha * (self.b @ self.a)
        return torch.nn.functional.linear(x, weight.to(x.dtype), self.base.bias)


def read_repositories(corpus: Path, shard: int = 0, of: int = 1) -> tuple[list[Repository], ...]:
    """Every ``of``-th source from ``shard`` on: what is learnt, and what is held out."""
    sources, files = read_pack(corpus)
    learnt: defaultdict[int, list[PackedFile]] = defaultdict(list)
    held: defaultdict[int, list[PackedFile]] = defaultdict(list)
    for i, file in enumerate(files):
        if file.source % of == shard:
            (held if i % HELD_OUT == 0 else learnt)[file.source].append(file)
    return tuple(
        [Repository(sources[n]["name"].rpartition("/")[2], found) for n, found in group.items()]
        for group in (learnt, held)
    )


class Rows(IterableDataset[dict[str, torch.Tensor]]):
    """Batches of rows, from step ``first`` on; without workers, all sources are one shard."""

    def __init__(
        self, corpus: Path, tokenizer: TextTokenizer, options: Options, first: int
    ) -> None:
        self._corpus, self._tokenizer = corpus, tokenizer
        self._options, self._first = options, first

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        info, options = get_worker_info(), self._options
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        # Batches come from the workers in turn.
        step = self._first + worker
        learnt, _ = read_repositories(self._corpus, step % workers, workers)
        places = [(r, n) for r in learnt for n in range(len(r.files))]
        weights = [len(r.files[n].text) for r, n in places]
        for repository in learnt:
            repository.index()
        while True:
            yield self._batch(places, weights, random.Random(f"{options.seed} {step}"))
            step += workers

    def _batch(
        self, places: list[tuple[Repository, int]], weights: list[int], rng: random.Random
    ) -> dict[str, torch.Tensor]:
        drawn = (place for _ in count() for place in rng.choices(places, weights=weights, k=64))
        rows, row = self._options.rows, self._options.row
        return pack_rows(fitting(drawn, self._tokenizer, rng, row), rows, row)


def fitting(
    drawn: Iterable[tuple[Repository, int]],
    tokenizer: TextTokenizer,
    rng: random.Random,
    longest: int,
) -> Iterator[Piece]:
    """A random example of each file that is drawn, if it has one of at most ``longest`` tokens."""
    for repository, number in drawn:
        piece = make_piece(repository, number, tokenizer, rng)
        if piece is not None and piece.size <= longest:
            yield piece


def pack_rows(pieces: Iterator[Piece], rows: int, length: int) -> dict[str, torch.Tensor]:
    """Examples one after the other in rows: ``ids``, ``targets`` (the next token), ``weights`` of
    their loss, ``excluded`` (a token that does not follow, or :data:`NONE_EXCLUDED`), ``positions``
    and ``texts`` (which example a token belongs to, :data:`PADDING` for none), each of shape (rows,
    length)."""
    shape = (rows, length)
    batch = {name: torch.zeros(shape, dtype=torch.long) for name in ("ids", "targets", "positions")}
    batch["weights"] = torch.zeros(shape)
    batch["texts"] = torch.full(shape, PADDING, dtype=torch.long)
    batch["excluded"] = torch.full(shape, NONE_EXCLUDED, dtype=torch.long)
    waiting: Piece | None = None
    for row in range(rows):
        place = number = 0
        while True:
            piece = waiting or next(pieces)
            waiting = None
            if place + piece.size > length:
                waiting = piece
                break
            _write(batch, row, place, number, piece)
            place, number = place + piece.size, number + 1
    return batch


def _write(batch: dict[str, torch.Tensor], row: int, place: int, number: int, piece: Piece) -> None:
    end, size = place + piece.size, piece.size
    ids = torch.tensor(piece.prompt_ids + piece.middle_ids)
    batch["ids"][row, place:end] = ids
    batch["targets"][row, place : end - 1] = ids[1:]
    batch["positions"][row, place:end] = torch.arange(size)
    batch["texts"][row, place:end] = number
    first = place + len(piece.prompt_ids) - 1
    opened = min(piece.open_tokens, len(piece.prompt_ids) - 1)
    batch["weights"][row, first - opened : first] = OPEN_WEIGHT
    batch["excluded"][row, first - opened : first] = piece.middle_ids[-1]
    batch["weights"][row, first : end - 1] = piece.weight


def attention_mask(texts: torch.Tensor) -> torch.Tensor:
    """Which tokens see which, (rows, 1, length, length): those before them in the same example.

    Padding sees itself: a row of a softmax must not be empty.
    """
    length = texts.shape[1]
    same = texts[:, None, :, None] == texts[:, None, None, :]
    causal = torch.ones(length, length, dtype=torch.bool, device=texts.device).tril()
    return same & causal


class Run:
    """A model in training."""

    def __init__(self, folder: Path, options: Options, device: str) -> None:
        from transformers import AutoModelForCausalLM

        torch.manual_seed(options.seed)
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        self.options, self.device = options, device
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).to(device)
        self.model.requires_grad_(False)
        self.layers: dict[str, LowRank] = {}
        for name, layer in list(self.model.base_model.named_modules()):
            if isinstance(layer, torch.nn.Linear):
                parent, _, leaf = name.rpartition(".")
                made = LowRank(layer, options.rank, options.alpha)
                setattr(self.model.base_model.get_submodule(parent), leaf, made)
                self.layers[name] = made
        self.parameters = [p for layer in self.layers.values() for p in (layer.a, layer.b)]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=options.learning_rate, weight_decay=0.01, betas=(0.9, 0.95)
        )
        self.body = self.model.base_model
        if device == "cuda":
            self.body = torch.compile(self.body, dynamic=False)
        self.step, self.spent = 0, 0.0

    def losses(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, float]:
        """The sum of the weighted losses (nats), and that of the weights."""
        on = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        hidden = self.body(
            on["ids"], attention_mask=attention_mask(on["texts"]), position_ids=on["positions"],
            use_cache=False,
        ).last_hidden_state  # fmt: skip
        wanted = on["weights"] > 0
        head = self.model.get_output_embeddings()
        rows = 8192 if self.device == "cuda" else ROWS
        weights = on["weights"][wanted]
        loss = head_loss(
            hidden[wanted],
            head.weight,
            head.bias,
            on["targets"][wanted],
            weights,
            on["excluded"][wanted],
            rows,
        )
        return loss, float(weights.sum())

    def train(self, batch: dict[str, torch.Tensor], budget: float) -> float:
        """One step; return its loss in nats a token."""
        loss, count = self.losses(batch)
        (loss / count).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
        part = self.spent / budget
        rate = min(1.0, part / self.options.warmup)
        rate *= (1 + math.cos(math.pi * min(1.0, part))) / 2
        self.optimizer.param_groups[0]["lr"] = self.options.learning_rate * max(rate, 1e-3)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        return float(loss.detach()) / count

    @torch.no_grad()
    def evaluate(self, batches: Sequence[dict[str, torch.Tensor]]) -> float:
        """The mean loss of held-out rows, in nats a token."""
        found = [self.losses(batch) for batch in batches]
        return sum(float(loss) for loss, _ in found) / sum(count for _, count in found)

    def save(self, work: Path) -> None:
        """Write a checkpoint; the last one stays until the new one is whole."""
        tensors = {}
        for i, parameter in enumerate(self.parameters):
            tensors[f"{i}"] = parameter.data
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"{i}.{key}"] = value
        facts = {"step": str(self.step), "spent": str(self.spent), "options": repr(self.options)}
        part = work / f"{CHECKPOINT}.part"
        save_file(tensors, part, metadata=facts)
        part.replace(work / CHECKPOINT)

    def resume(self, work: Path) -> None:
        """Go on from the last checkpoint, if there is one."""
        facts = saved_facts(work, self.options)
        if not facts:
            return
        tensors = load_file(work / CHECKPOINT, device=self.device)
        for i, parameter in enumerate(self.parameters):
            parameter.data.copy_(tensors.pop(f"{i}"))
            self.optimizer.state[parameter] = {
                key: tensors.pop(f"{i}.{key}") for key in ("step", "exp_avg", "exp_avg_sq")
            }
        self.step, self.spent = int(facts["step"]), float(facts["spent"])

    def export(self, out: Path, base: str) -> None:
        """Write the adapter in bf16, its rank limited by the largest singular values."""
        out.mkdir(parents=True, exist_ok=True)
        rank, tensors = min(self.options.rank, self.options.export_rank), {}
        for name, layer in self.layers.items():
            a, b = layer.a.detach(), layer.b.detach()
            if rank < self.options.rank:
                a, b = limit_rank(a, b, rank)
            for part, tensor in (("A", a), ("B", b)):
                key = f"base_model.model.model.{name}.lora_{part}.weight"
                tensors[key] = tensor.to(torch.bfloat16).cpu().contiguous()
        save_file(tensors, out / "adapter_model.safetensors", metadata={"format": "pt"})
        facts = {
            "base_model_name_or_path": base, "peft_type": "LORA", "task_type": "CAUSAL_LM",
            "r": rank, "lora_alpha": self.options.alpha * rank, "lora_dropout": 0.0, "bias": "none",
            "inference_mode": True, "target_modules": sorted({n.rpartition(".")[2] for n in self.layers}),
        }  # fmt: skip
        (out / "adapter_config.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def limit_rank(a: torch.Tensor, b: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The product ``b @ a`` by its ``rank`` largest singular values, as two factors."""
    left, triangle_b = torch.linalg.qr(b)
    right, triangle_a = torch.linalg.qr(a.t())
    u, values, v = torch.linalg.svd(triangle_b @ triangle_a.t())
    root = values[:rank].sqrt()
    return (root[:, None] * v[:rank]) @ right.t(), (left @ u[:, :rank]) * root


def saved_facts(work: Path, options: Options) -> dict[str, str]:
    """What the last checkpoint says of itself; nothing where there is none.

    :raises SystemExit: it is of other options.
    """
    path = work / CHECKPOINT
    if not path.exists():
        return {}
    with safe_open(path, framework="pt") as file:
        facts: dict[str, str] = file.metadata()
    if facts["options"] != repr(options):
        raise SystemExit(f"{path} is of a run with {facts['options']}: choose another --work")
    return facts


def split_file(path: Path, size: int) -> None:
    """Replace a file that is larger than ``size`` bytes by parts: ``NAME.00``, ``NAME.01``, …"""
    data = path.read_bytes()
    if len(data) <= size:
        return
    for number, begin in enumerate(range(0, len(data), size)):
        path.with_name(f"{path.name}.{number:02}").write_bytes(data[begin : begin + size])
    path.unlink()


def held_out(corpus: Path, tokenizer: TextTokenizer, options: Options) -> list[dict[str, Any]]:
    """Four batches of held-out files, always the same, without snippets of what is learnt."""
    _, held = read_repositories(corpus)
    for repository in held:
        repository.index()
    places = [(r, n) for r in held for n in range(len(r.files))]
    rng = random.Random(f"held out {options.seed}")
    found = fitting((rng.choice(places) for _ in count()), tokenizer, rng, options.row)
    return [pack_rows(found, options.rows, options.row) for _ in range(4)]


def join(parts: Sequence[Path], work: Path, name: str) -> Path:
    """The file that the parts are, put together once."""
    if len(parts) == 1:
        return parts[0]
    whole = work / name
    if not whole.exists():
        temporary = work / f"{name}.part"
        with temporary.open("wb") as out:
            for part in parts:
                out.write(part.read_bytes())
        temporary.replace(whole)
    return whole


def unpack_base(archive: Path, work: Path) -> Path:
    """The folder of the base model."""
    folder = work / "base"
    if not folder.exists():
        temporary = work / ".base"
        with tarfile.open(archive, "r:xz") as opened:
            opened.extractall(temporary, filter="data")
        temporary.rename(folder)
    return folder


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add(
        "--corpus",
        type=Path,
        action="append",
        required=True,
        help="the pack, or its parts in order",
    )
    add("--base", type=Path, action="append", required=True, help="the base, likewise")
    add("--work", type=Path, required=True, help="checkpoints; kept between calls")
    add("--out", type=Path, required=True, help="where the adapter and the report go")
    add("--seconds", type=float, default=520, help="of training in this call")
    add("--budget", type=float, default=1500, help="seconds of training in all calls")
    add("--checkpoint-seconds", type=float, default=120)
    add("--part-bytes", type=int, help="of the adapter's file: split a larger one")
    add("--base-name", default="smollm2-135m", help="what the adapter names as its base")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name in ("row", "rows", "rank", "export_rank", "workers", "seed"):
        add(f"--{name.replace('_', '-')}", type=int, default=getattr(Options(), name))
    add("--learning-rate", type=float, default=Options().learning_rate)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    given = parse(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    options = Options(
        **{name: getattr(given, name) for name in Options.__slots__ if hasattr(given, name)}
    )
    corpus = join(given.corpus, given.work, "corpus.xz")
    folder = unpack_base(join(given.base, given.work, "base.tar.xz"), given.work)
    tokenizer = TextTokenizer.load(folder)
    step = int(saved_facts(given.work, options).get("step", 0))
    # The workers begin while the model is loaded, and before this process uses the accelerator.
    batches = iter(
        DataLoader(
            Rows(corpus, tokenizer, options, step), batch_size=None, num_workers=options.workers,
            pin_memory=given.device == "cuda", prefetch_factor=4 if options.workers else None,
        )
    )  # fmt: skip
    run = Run(folder, options, given.device)
    run.resume(given.work)
    report = train(run, batches, held_out(corpus, tokenizer, options), given)
    run.save(given.work)
    run.export(given.out, given.base_name)
    if given.part_bytes:
        split_file(given.out / "adapter_model.safetensors", given.part_bytes)
    (given.out / "report.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps({key: value for key, value in report.items() if key != "losses"}))
    return 0


def train(
    run: Run, batches: Iterator[dict[str, Any]], tests: list[dict[str, Any]],
    given: argparse.Namespace,
) -> dict[str, Any]:  # fmt: skip
    """Train until the time of this call or of all calls is over, and report."""
    options, losses = run.options, []
    before, first = run.evaluate(tests), run.step
    begun = last = saved = time.monotonic()
    for batch in batches:
        losses.append(round(run.train(batch, given.budget), 4))
        now = time.monotonic()
        run.spent, last = run.spent + now - last, now
        if run.step % 50 == 0:
            print(
                f"step {run.step} loss {sum(losses[-50:]) / 50:.4f} {run.spent:.0f} s", flush=True
            )
        if now - saved >= given.checkpoint_seconds:
            run.save(given.work)
            saved = now
        if now - begun >= given.seconds or run.spent >= given.budget:
            break
    tokens = (run.step - first) * options.rows * options.row
    return {
        "steps": run.step, "spent": round(run.spent, 1), "tokens": tokens,
        "tokens_per_second": round(tokens / max(1e-9, time.monotonic() - begun)),
        "held_out_before": round(before, 4), "held_out": round(run.evaluate(tests), 4),
        "losses": losses,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
