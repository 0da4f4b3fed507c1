"""What is shown where nothing is missing: ``python bench/whole.py [--quick] [--json] --repo PATH…``.

Asks at the ends of lines of files as they stand in the last commit, where the right answer is mostly
nothing, with the prompts, decoding and trim rules of serving, without snippets. Counted are

- ``shown``: answers that are not empty;
- ``breaks``: those of them that make a file invalid which is valid without them, by Python's own
  parser or the language's grammar;
- ``repeats``: those that have a line of three letters or digits at least which is one of the next eight.

What the rules cost where something is missing is measured by quality.py.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from about import machine, name_of, output

from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.core.process import calm_threads
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.core.terminal import Stream
from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.assistant.dataset.examples import make_example, serving_budget
from git_copilot.assistant.decoding.engine import Engine
from git_copilot.assistant.decoding.generation import GenerationRequest, Sampling
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.assistant.postprocess.trim import Trimmer
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.types import Hole
from git_copilot.index.corpus.holes import seeded_random
from git_copilot.index.corpus.snapshot import snapshot_files
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.text.classify import TEXT, language_of
from git_copilot.index.text.parsing import parse

ROOT = Path(__file__).resolve().parent.parent
PLACES, QUICK = 60, 8
NEXT_LINES, LETTERS = 8, 3


def places(repo: GitRepository, count: int) -> Iterator[tuple[str, str, str]]:
    """Path, text before and text behind ``count`` ends of lines, a seeded sample."""
    commit = repo.head_commit() or ""
    found = []
    for entry, data in snapshot_files(repo, commit):
        text = data.decode("utf-8", "replace")
        if language_of(entry.path) == TEXT or not is_valid(text, entry.path):
            continue
        at = 0
        for line in text.split("\n"):
            if sum(map(str.isalnum, line)) >= LETTERS:
                found.append((entry.path, text, at + len(line.rstrip())))
            at += len(line) + 1
    seeded_random("whole", commit).shuffle(found)
    for path, text, end in found[:count]:
        yield path, text[:end], text[end:]


def is_valid(text: str, path: str) -> bool:
    """Whether a file parses."""
    language = language_of(path)
    if language != "python":
        root = parse(text.encode(), language)
        return root is None or not root.has_error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def repeats(prefix: str, text: str, suffix: str) -> bool:
    """Whether a line of an answer is one of the next ones."""
    following = [line.rstrip() for line in suffix.split("\n")[1:] if line.strip()][:NEXT_LINES]
    first, *lines = text.split("\n")
    if first.strip():
        lines.append(prefix.rpartition("\n")[2] + first)
    return any(x.rstrip() in following and sum(map(str.isalnum, x)) >= LETTERS for x in lines)


def measure(paths: Sequence[Path], model: str, count: int) -> dict[str, Any]:
    """All repositories.

    :raises CopilotError: the model or a repository cannot be read.
    """
    commit = output("git", "-C", str(ROOT), "rev-parse", "HEAD")
    engine = Engine.load(resolve_model(model), name=model)
    bar = ProgressBar(Stream(sys.stderr, screen=sys.stderr.isatty()))
    found = dict[str, Any]()
    for path in paths:
        repo = GitRepository.discover(path)
        name, tally, rules = name_of(path, repo), Counter[str](), Counter[str]()
        for number, (file, prefix, suffix) in enumerate(places(repo, count)):
            bar(name, number, count)
            text, rule = answer(engine, file, prefix, suffix)
            rules[rule or "none"] += 1
            tally["places"] += 1
            tally["shown"] += bool(text.strip())
            tally["breaks"] += not is_valid(prefix + text + suffix, file)
            tally["repeats"] += repeats(prefix, text, suffix)
        keys = ("places", "shown", "breaks", "repeats")
        found[name] = {**{key: tally[key] for key in keys}, "rules": dict(rules.most_common())}
    bar.finish()
    return {
        "bench": "whole",
        "commit": commit,
        "machine": machine(),
        "settings": {"model": model, "places": count},
        "repositories": found,
    }


def answer(engine: Engine, path: str, prefix: str, suffix: str) -> tuple[str, str | None]:
    """What is shown at a place, and the rule that cut it."""
    start = len(prefix.encode())
    # No example is without a middle; this one is not looked at.
    hole = Hole("", "", path, start, start + 1, "line", "", 0, language_of(path))
    settings = Settings()
    cut = Cut(hole, prefix, "x", suffix)
    example = make_example(engine.tokenizer, cut, (), serving_budget(settings))
    trimmer = Trimmer(prefix, suffix, path=path, left_to_right=example.prompt.left_to_right)
    made = engine.generate(GenerationRequest(
        example.prompt_ids, Sampling(settings.max_tokens, alternatives=settings.alternatives),
        copy_context=example.copy_context, should_stop=trimmer.finished,
    ))  # fmt: skip
    trimmed = trimmer.trim(made.text, made.finish, empty_margin=made.empty_margin)
    return trimmed.text, trimmed.rule


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [f"{'':<22}{'places':>7}{'shown':>7}{'breaks':>8}{'repeats':>9}"]
    for name, row in result["repositories"].items():
        lines.append(
            f"{name[:22]:<22}{row['places']:>7}{row['shown']:>7}{row['breaks']:>8}{row['repeats']:>9}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} places of each repository")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repo", type=Path, nargs="+", default=[ROOT], help="whose files are used")
    parser.add_argument("--places", type=int, default=PLACES, help="of each repository")
    parser.add_argument("--model", default=Settings().model, help="name or folder of the model")
    options = parser.parse_args(arguments)
    calm_threads()
    try:
        count = QUICK if options.quick else options.places
        result = measure(options.repo, options.model, count)
    except CopilotError as exc:
        sys.stderr.write(f"whole: {exc}\n")
        return exc.exit_code
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
