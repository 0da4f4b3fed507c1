"""How often one of k samples is right: ``python bench/pass_at_k.py [--subset humaneval|single-line|
multi-line|random-span] [--samples 10] [--temperature 0.8] [--adapter FOLDER] [--json]``.

``humaneval`` (Chen et al. 2021, arXiv 2107.03374) writes a function below its docstring, left to
right, and ends at the first line that leaves the function; the other subsets are HumanEval-Infilling's,
with the trim rules of serving. Each hole gets ``--samples`` completions by nucleus sampling, and its
program is run with its tests in the sandbox. ``pass@k`` is the unbiased estimate of that paper, for
each k of 1, 10 and 100 that the samples suffice for, in %, with 95% intervals from resampled problems.
``distinct`` is the mean share of different completions.

``--data`` names a folder of local files; nothing of them is ever trained on.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb
from pathlib import Path
from typing import Any

from about import machine, output
from figures import interval
from infilling import FILES, Task, read_rows, read_tasks, sample
from isa import add_isa_option, limit_instructions
from quality import DATA, ROOT, Run, at_least_one, load, render
from sandbox import PASSED, run_programs

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.core.process import calm_threads
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.core.terminal import Stream
from git_copilot.assistant.models.catalogue import canonical
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Progress

HUMANEVAL, HUMANEVAL_FILE = "humaneval", "HumanEval.jsonl.gz"
KS = (1, 10, 100)
# The longest solution of HumanEval has some 250 tokens of code.
TOKENS = {HUMANEVAL: 256}
MOST_TOKENS = 128
# A line in column 1 that is no closing bracket: the function is over.
_LEFT = re.compile(r"\n(?=[^\s)\]}])")


@dataclass(frozen=True, slots=True)
class Sampled:
    """What is drawn for each hole."""

    samples: int
    temperature: float
    top_p: float
    max_tokens: int
    seed: int


def read_problems(folder: Path) -> list[Task]:
    """The problems of HumanEval as holes at the end of a file.

    :raises CopilotError: the file is not there, or is not what it should be.
    """
    return read_rows(folder / HUMANEVAL_FILE, "openai/human-eval", make_problem)


def make_problem(row: dict[str, str]) -> Task:
    """A problem from a row of the benchmark."""
    name = row["task_id"]
    return Task(
        name, name, row["entry_point"], row["prompt"], row["canonical_solution"], "", row["test"]
    )


def pass_at(k: int, samples: int, right: int) -> float:
    """The chance that one of ``k`` of ``samples`` completions, drawn without replacement, is among
    the ``right`` ones (the unbiased estimate of Chen et al. 2021)."""
    return 1 - comb(samples - right, k) / comb(samples, k)


def until_the_function_ends(text: str) -> str:
    """A completion up to the first line in column 1, which is no part of the function."""
    found = _LEFT.search(text)
    return text if found is None else text[: found.start() + 1]


def draw(engine: Any, task: Task, tokenizer: Any, drawn: Sampled, *, whole: bool) -> list[str]:
    """The completions of one hole.

    :param whole: of a function, left to right; else of a hole, with the trim rules of serving.
    """
    from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
    from git_copilot.assistant.evaluation.one_pass import Ending

    example = render(tokenizer, task, left_to_right=whole)
    requests, endings = [], []
    for number in range(drawn.samples):
        sampling = Sampling(
            drawn.max_tokens, drawn.temperature, drawn.top_p, seed=drawn.seed * 1000 + number
        )
        request = GenerationRequest(
            example.prompt_ids, sampling, example.prompt.forced_prefix, example.copy_context
        )
        endings.append(Ending(example, not whole))
        stop = replace(request, should_stop=lambda text: _LEFT.search(text) is not None)
        requests.append(stop if whole else endings[-1].added_to(request))
    if engine.side_by_side:
        made = engine.generate_many(requests)
    else:
        made = [engine.generate(request) for request in requests]
    engine.slots.drop(engine.slots.take(example.prompt_ids))
    if whole:
        return [until_the_function_ends(each.text) for each in made]
    return [ending.completion(each).text for ending, each in zip(endings, made, strict=True)]


def measure(
    run: Run, subset: str, tasks: Sequence[Task], drawn: Sampled, bar: Progress
) -> dict[str, Any]:
    """The figures of one subset.

    :raises CopilotError: the model or the adapter cannot be read.
    """
    from git_copilot.assistant.decoding.engine import Engine
    from git_copilot.assistant.evaluation.scorer import serving_scorer

    loaded = load(run)
    scorer = serving_scorer(loaded.model, loaded.tokenizer, loaded.copying, run.precision)
    engine = (
        scorer.engine if scorer else Engine(loaded.model, loaded.tokenizer, copying=loaded.copying)
    )
    begun, texts = time.perf_counter(), list[list[str]]()
    for i, task in enumerate(tasks):
        bar("sampling", i, len(tasks))
        texts.append(draw(engine, task, loaded.tokenizer, drawn, whole=subset == HUMANEVAL))
    seconds = time.perf_counter() - begun
    programs = [task.program(text) for task, of in zip(tasks, texts, strict=True) for text in of]
    verdicts = iter(run_programs(programs, progress=bar))
    right = [sum(next(verdicts) == PASSED for _ in of) for of in texts]
    problems, n = [task.problem for task in tasks], drawn.samples
    return {
        "holes": len(tasks),
        "problems": len(set(problems)),
        **{
            f"pass@{k}": interval([100 * pass_at(k, n, c) for c in right], problems, run.seed)
            for k in KS
            if k <= n
        },
        "distinct": round(100 * sum(len(set(of)) / n for of in texts) / len(texts), 1),
        "sampling_seconds": round(seconds, 1),
        "right": dict(zip((task.name for task in tasks), right, strict=True)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, default=DATA, help="folder of the benchmark's .jsonl.gz files")
    add("--subset", choices=[HUMANEVAL, *FILES], default=HUMANEVAL)
    add("--samples", type=at_least_one, default=10, help="of each hole")
    add("--temperature", type=float, default=0.8)
    add("--top-p", type=float, default=0.95)
    add("--limit", type=at_least_one, default=10_000, help="holes, a seeded sample")
    add(
        "--max-tokens",
        type=at_least_one,
        help=f"of a completion ({TOKENS[HUMANEVAL]}; {MOST_TOKENS})",
    )
    add("--seed", type=int, default=0)
    add("--model", default=Settings().model, help="name or folder of the model")
    add("--adapter", type=Path, help="folder of a LoRA adapter, merged into the model")
    add("--precision", default="auto")
    add("--json", action="store_true", help="print one JSON object")
    add_isa_option(parser)
    options = parser.parse_args(arguments)
    limit_instructions(arguments)
    calm_threads()
    drawn = Sampled(
        options.samples, options.temperature, options.top_p,
        options.max_tokens or TOKENS.get(options.subset, MOST_TOKENS), options.seed,
    )  # fmt: skip
    adapter = str(options.adapter.resolve()) if options.adapter else None
    run = Run(
        canonical(options.model, Path.cwd()), adapter, options.subset == HUMANEVAL, False, False,
        drawn.max_tokens, options.seed, {}, options.precision,
    )  # fmt: skip
    commit = output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    bar = ProgressBar(Stream(sys.stderr, screen=sys.stderr.isatty()))
    try:
        every = (
            read_problems(options.data)
            if options.subset == HUMANEVAL
            else read_tasks(options.data, options.subset)
        )
        found = measure(run, options.subset, sample(every, options.limit, options.seed), drawn, bar)
    except CopilotError as exc:
        bar.finish()
        sys.stderr.write(f"pass_at_k: {exc}\n")
        return exc.exit_code
    bar.finish()
    result = {
        "bench": "pass-at-k", "commit": commit, "machine": machine(), "subset": options.subset,
        "settings": {
            "model": run.model, "adapter": run.adapter, "samples": drawn.samples,
            "temperature": drawn.temperature, "top_p": drawn.top_p,
            "max_tokens": drawn.max_tokens, "seed": drawn.seed, "precision": run.precision,
        },
        **found,
    }  # fmt: skip
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [f"{result['subset']}: {result['holes']} holes of {result['problems']} problems"]
    for name, each in result.items():
        if name.startswith("pass@"):
            bounds = "" if each["low"] is None else f" [{each['low']:.1f}, {each['high']:.1f}]"
            lines.append(f"{name:<9}{each['value']:.1f}{bounds}")
    return "\n".join([*lines, f"distinct {result['distinct']:.1f}"])


if __name__ == "__main__":
    sys.exit(main())
