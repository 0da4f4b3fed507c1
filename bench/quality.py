"""How good completions are: ``python bench/quality.py [--quick] [--json] [--model NAME]``.

HumanEval-Infilling (Bavarian et al., arXiv 2207.14255) with the prompt builder, the decoding and
the trim rules of serving, without retrieval: greedy but for rests of lines (best_first_search.py), and
there too with ``--greedy``. Figures are in %, with 95% intervals from resampled
HumanEval problems (holes of one problem are alike):

- ``em``: exact match but for white space at the end; ``es``: edit similarity; ``pass_at_1``: the
  problem's tests pass (run as sandbox.py says);
- ``em_first_line`` (single-line): exact match when all after the first line is cut off, as
  left-to-right models are measured elsewhere;
- ``overrun``: goes on beyond its hole, see :func:`infilling.overrun`, and ``overrun_by`` why;
  ``more_lines`` and ``empty``: has more lines than the middle, has nothing;
- ``trim_keeps`` and ``fits``: middles that the trim rules would leave whole, and that are no
  longer than ``--max-tokens``: the most that ``em`` can reach;
- ``bits_per_byte`` of the middles, and ``end_bits`` of the end token after them;
- ``tokens_per_second``: generated, while reading prompts and taking likelihoods as well.

``--no-trim`` lets the model write on where a trim rule would have stopped it and also gives the
figures of that text (``without_trim``). ``--left-to-right`` hides the suffix from the model, not
from the trim rules. ``--heal`` is token healing (:func:`git_copilot.assistant.evaluation.scorer.heal`):
without it a left-to-right model is far below what it can do, because these holes begin after a
line end. ``--precision`` serves in a number format, as ``copilot.precision`` does.

``--repo PATH`` measures holes of a real repository's commits instead, without snippets and with
them, or of its files as they stand (``--tree``): see commits.py.

As published (StarCoder, arXiv 2305.06161: Python, single lines, exact match; SantaCoder's holes in
HumanEval, which are others than these, so no more than a scale): InCoder-6B 31, SantaCoder-1.1B 44,
StarCoder-15.5B 62.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import commits
from about import machine, output
from figures import Answer, judge, share, table
from infilling import FILES, Task, read_tasks, sample, trim_keeps
from isa import add_isa_option, limit_instructions
from rests import KIND as REST
from sandbox import Limits

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.core.process import calm_threads
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.core.terminal import Stream
from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.dataset.examples import Example, make_example, serving_budget
from git_copilot.assistant.decoding.copy_weights import CopyWeights, read_copy_weights
from git_copilot.assistant.models.catalogue import canonical, resolve_model
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import FORMS, TYPED, Hole, Progress

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "bench"
# Of the 5,815 multi-line holes, many of which are nearly alike.
LIMITS = {"single-line": 1033, "multi-line": 500, "random-span": 164}
QUICK = 24
QUICK_TOKENS, TOKENS = 64, 128


@dataclass(frozen=True, slots=True)
class Run:
    """What is measured: the options that change figures."""

    model: str
    adapter: str | None
    left_to_right: bool
    no_trim: bool
    heal: bool
    max_tokens: int
    seed: int
    limits: dict[str, int]
    precision: str = ""
    copying: bool = True
    alternatives: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready; it takes ``longest`` tokens."""

    model: Any
    tokenizer: TextTokenizer
    longest: int
    copying: CopyWeights | None


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    limit_instructions(arguments)  # torch is imported later
    calm_threads()
    limits = {name: options.limit or LIMITS[name] for name in FILES}
    if options.quick:
        limits = {name: min(limit, options.limit or QUICK) for name, limit in limits.items()}
    chosen = [options.subset] if options.subset else list(FILES)
    run = Run(
        canonical(options.model, Path.cwd()),
        str(options.adapter.resolve()) if options.adapter else None,
        options.left_to_right,
        options.no_trim,
        options.heal,
        options.max_tokens or (QUICK_TOKENS if options.quick else TOKENS),
        options.seed,
        {name: limits[name] for name in chosen},
        options.precision,
        not options.no_copying,
        0 if options.greedy else Settings().alternatives,
    )
    bar = ProgressBar(Stream(sys.stderr, screen=sys.stderr.isatty()))
    try:
        if options.repo:
            limit = options.limit or (commits.QUICK if options.quick else commits.LIMIT)
            adapter = options.adapter.resolve() if options.adapter else None
            result = commits.measure(
                options.repo, run.model, adapter, run.left_to_right,
                commits.Wanted(
                    options.kind, limit, options.tree or REST in options.kind, options.language
                ),
                replace(
                    Settings(), copying=run.copying, alternatives=run.alternatives,
                    evaluation_form=options.form,
                ),
                bar,
            )  # fmt: skip
        else:
            result = measure(options.data, run, bar, options.completions)
    except CopilotError as exc:
        bar.finish()
        sys.stderr.write(f"quality: {exc}\n")
        return exc.exit_code
    bar.finish()
    shown = commits.table if options.repo else table
    print(json.dumps(result, indent=1) if options.json else shown(result))
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help=f"{QUICK} holes of each subset, within two minutes")
    add("--json", action="store_true", help="print one JSON object")
    add("--data", type=Path, default=DATA, help="folder of the benchmark's .jsonl.gz files")
    add("--model", default=Settings().model, help="name or folder of the model")
    add("--adapter", type=Path, help="folder of a LoRA adapter, merged into the model")
    add("--left-to-right", action="store_true", help="hide the suffix from the model")
    add("--subset", choices=list(FILES), help="only this one")
    add("--repo", type=Path, nargs="+", help="commits of these repositories instead (commits.py)")
    add("--tree", action="store_true", help="with --repo: holes of the files as they stand")
    add("--language", default="python", help="with --repo: of the holes, as tree-sitter names it")
    add(
        "--kind",
        nargs="+",
        default=["line"],
        help=f"with --repo: kinds of holes; {REST}: see rests.py",
    )
    add("--form", choices=FORMS, default=TYPED, help="with --repo: of the holes of commits")
    add("--limit", type=at_least_one, help="holes of each subset, a seeded sample")
    add("--seed", type=int, default=0, help="of the sample and the intervals")
    add("--no-trim", action="store_true", help="give the figures without trim rules as well")
    add("--heal", action="store_true", help="leave the prompt's last token to the model")
    add(
        "--precision",
        default="",
        help="serve in this number format, or `auto` (default: that in which the model is loaded)",
    )
    add_isa_option(parser)
    add("--no-copying", action="store_true", help="leave the model alone (see copy_model.py)")
    add(
        "--greedy", action="store_true", help="look for no likelier line (see best_first_search.py)"
    )
    add("--max-tokens", type=at_least_one, help=f"of a completion ({TOKENS}; serving has 64)")
    add("--completions", type=Path, metavar="FILE", help="write every completion, as JSON lines")
    options = parser.parse_args(arguments)
    if REST in options.kind and len(options.kind) > 1:
        parser.error(f"--kind {REST} stands alone")
    return options


def at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 is needed")
    return number


def measure(data: Path, run: Run, progress: Progress, record: Path | None) -> dict[str, Any]:
    """All subsets of one run.

    :raises CopilotError: a file of the benchmark, the model or the adapter cannot be read.
    """
    commit = output("git", "-C", str(ROOT), "rev-parse", "HEAD")  # it may move before the end
    tasks = {name: read_tasks(data, name) for name in run.limits}
    loaded = load(run)
    subsets: dict[str, Any] = {}
    lines: list[str] = []
    for name, limit in run.limits.items():
        chosen = sample(tasks[name], limit, run.seed)
        figures, rows = measure_subset(name, chosen, run, loaded, progress)
        subsets[name] = {"of": len(tasks[name]), **figures}
        lines += [json.dumps({"subset": name, **row}) for row in rows]
    if record:
        record.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return {
        "bench": "quality",
        "commit": commit,
        "machine": machine(),
        "settings": {**asdict(run), "device": str(loaded.model.device), "tests": asdict(Limits())},
        "subsets": subsets,
    }


def load(run: Run) -> Loaded:
    """The model with its adapter merged, as promotion judges it."""
    from git_copilot.assistant.evaluation.arms import ArmEvaluator

    folder = resolve_model(run.model)
    tokenizer = TextTokenizer.load(folder, run.model)
    evaluator = ArmEvaluator(folder, Settings(), tokenizer)
    adapter = Path(run.adapter) if run.adapter else None
    model = evaluator.load(adapter)
    return Loaded(
        model, tokenizer, evaluator.longest, read_copy_weights(folder) if run.copying else None
    )


def render(tokenizer: TextTokenizer, task: Task, *, left_to_right: bool) -> Example:
    """The prompt of serving; the trim rules see the suffix even where the model does not."""
    end = len((task.prefix + task.middle).encode())
    start = len(task.prefix.encode())
    path = f"{task.entry_point}.py"
    hole = Hole(task.problem, task.name, path, start, end, "line", "", 0, "python")
    cut = Cut(hole, task.prefix, task.middle, task.suffix)
    shown = replace(cut, suffix="") if left_to_right else cut
    example = make_example(tokenizer, shown, (), serving_budget(Settings()))
    return replace(example, cut=cut.as_served())


def measure_subset(
    name: str, tasks: Sequence[Task], run: Run, loaded: Loaded, progress: Progress
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The figures of one subset, and a row for each hole.

    :raises CopilotError: the model cannot take prompts of this length.
    """
    from git_copilot.assistant.evaluation.batched_scoring import Completion
    from git_copilot.assistant.evaluation.scorer import ScoringOptions, evaluate, serving_scorer

    examples = [render(loaded.tokenizer, t, left_to_right=run.left_to_right) for t in tasks]
    needed = max(len(e.prompt_ids) + max(len(e.middle_ids), run.max_tokens) for e in examples)
    if needed > loaded.longest:
        raise CopilotError(
            f"the model takes {loaded.longest} tokens, {needed} are needed",
            "choose another model or fewer --max-tokens",
        )
    made: dict[int, Completion] = {}
    begun = time.perf_counter()
    scorer = serving_scorer(loaded.model, loaded.tokenizer, loaded.copying, run.precision)
    options = ScoringOptions(
        max_tokens=run.max_tokens, alternatives=run.alternatives, copying=loaded.copying,
        scorer=scorer,
        stop_early=not run.no_trim, healing=run.heal, collect=made.__setitem__,
        progress=progress, label=name,
    )  # fmt: skip
    scores = evaluate(loaded.model, loaded.tokenizer, examples, options)
    seconds = time.perf_counter() - begun
    fits = [len(e.middle_ids) <= run.max_tokens for e in examples]
    answers = [
        Answer(task, made[i].text, made[i].written, made[i].finish, made[i].rule, fits[i])
        for i, task in enumerate(tasks)
    ]
    figures, rows = judge(answers, run.seed, progress, first_lines=name == "single-line")
    if run.no_trim:
        figures["without_trim"], more = judge(
            [a.untrimmed() for a in answers], run.seed, progress, first_lines=False
        )
        rows = [{**row, "without_trim": other} for row, other in zip(rows, more, strict=True)]
    size = sum(len(e.middle.encode()) for e in examples)
    tokens = sum(c.tokens for c in made.values())
    return {
        "holes": len(tasks),
        "problems": len({t.problem for t in tasks}),
        "modes": dict(Counter(e.prompt.mode for e in examples)),
        "trim_keeps": share([trim_keeps(t) for t in tasks]),
        "fits": share(fits),
        **figures,
        "bits_per_byte": round(sum(s.nll for s in scores) / math.log(2) / size, 4),
        "end_bits": round(sum(s.end_nll for s in scores) / math.log(2) / len(scores), 3),
        "finish": dict(Counter(a.finish for a in answers)),
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1),
        "seconds": round(seconds, 1),
    }, rows


if __name__ == "__main__":
    sys.exit(main())
