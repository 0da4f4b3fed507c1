"""What is kept out of index and corpus as a secret: of made-up ones, all; of real code, nothing.

python bench/secret_lines.py [--repo PATH…] [--seeds N] [--json] [--quick]

Plants the secrets of ``planted.txt`` and says which are not hidden; then judges every file that the
index of a repository would hold, and prints each line that looks like a secret, to be read by hand,
and how many lines a second are judged.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import about
import click
from planted import planted

from git_copilot.index.audit.secret_report import secrets_in_text
from git_copilot.index.filters import rules
from git_copilot.index.git.repository import SUBMODULE, SYMLINK, GitRepository
from git_copilot.index.secrets.redaction import redact
from git_copilot.index.secrets.scan import secret_lines
from git_copilot.index.text.classify import (
    MAX_FILE_BYTES,
    language_of,
    skip_content,
    to_utf8,
)

ROUNDS = 3


def hidden(seeds: int) -> dict[str, Any]:
    """How many planted secrets are hidden, and the cases with one that is not."""
    kinds: Counter[str] = Counter()
    missed: dict[str, str] = {}
    formats = set()
    for seed in range(seeds):
        for case in planted(seed):
            kinds[case.kind] += 1
            formats.add(case.path.rpartition("/")[2].rpartition(".")[2])
            shown = redact(case.text, case.path)
            if any(value in shown for value in case.values):
                missed.setdefault(f"{case.kind} | {case.path}", redact(case.text, case.path))
    return {
        "cases": kinds.total() // seeds,
        "kinds": len(kinds),
        "formats": len(formats),
        "seeds": seeds,
        "missed": sorted(missed),
    }


def alarms(path: Path, *, quick: bool) -> dict[str, Any]:
    """The lines of a repository's files that look like secrets, their values masked."""
    repo = GitRepository.discover(path)
    tree = repo.head_tree_or_empty()
    listed = [e for e in repo.ls_tree(tree) if e.mode not in (SUBMODULE, SYMLINK)]
    out = rules.exclusion_reasons(repo, tree, [e.path for e in listed], listed)
    entries = [e for e in listed if e.path not in out][: 200 if quick else None]
    sizes = repo.blob_sizes({e.oid for e in entries})
    entries = [e for e in entries if 0 < sizes.get(e.oid, 0) <= MAX_FILE_BYTES]
    texts: list[tuple[str, str]] = []
    found: list[dict[str, Any]] = []
    for entry, (_, data) in zip(entries, repo.blobs(e.oid for e in entries), strict=True):
        content = to_utf8(data)
        if skip_content(content) is not None:
            continue
        texts.append((content.decode("utf-8", "replace"), language_of(entry.path)))
        for kept in secrets_in_text(entry.path, data, frozenset()):
            found.append(
                {"path": entry.path, "line": kept.line, "kind": kept.kind, "masked": kept.masked}
            )
    lines = sum(text.count("\n") for text, _ in texts)
    return {
        "repository": about.name_of(path, repo),
        "lines": lines,
        "alarms": len(found),
        "one_in": lines // max(1, len(found)),
        "lines_per_s": round(lines / _best_seconds(texts)),
        "found": found,
    }


def _best_seconds(texts: list[tuple[str, str]]) -> float:
    """Processor seconds that judging takes."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        for text, language in texts:
            secret_lines(text, language=language)
        best = min(best, time.process_time() - begun)
    return max(best, 1e-9)


@click.command()
@click.option("--repo", type=click.Path(path_type=Path, exists=True), multiple=True)
@click.option("--seeds", type=click.IntRange(1), default=20, help="Draw the values so many times.")
@click.option("--quick", is_flag=True, help="Draw once, and look at 200 files.")
@click.option("--json", "as_json", is_flag=True)
def main(repo: tuple[Path, ...], seeds: int, quick: bool, as_json: bool) -> None:
    """Count planted secrets that are missed, and lines of real code that are not."""
    facts = {
        "bench": "secrets",
        "commit": about.output("git", "rev-parse", "HEAD"),
        "machine": about.machine(),
        "planted": hidden(1 if quick else seeds),
        "repositories": [alarms(path, quick=quick) for path in repo],
    }
    made: Any = facts["planted"]
    rows: Any = facts["repositories"]
    if as_json:
        for row in rows:  # places only: the lines are other people's
            row["found"] = [f"{e['path']}:{e['line']}: {e['kind']}" for e in row["found"]]
        click.echo(json.dumps(facts, indent=1))
        return
    click.echo(
        f"{made['cases']} planted secrets of {made['kinds']} kinds in {made['formats']} formats, "
        f"drawn {made['seeds']} times: {len(made['missed'])} missed"
    )
    for each in made["missed"]:
        click.echo(f"  {each}")
    for row in rows:
        click.echo(
            f"{row['repository']}: {row['alarms']} of {row['lines']} lines (1 in {row['one_in']}), "
            f"{row['lines_per_s']} lines a second"
        )
        for each in row["found"]:
            click.echo(f"  {each['path']}:{each['line']}: {each['kind']}: {each['masked']}")


if __name__ == "__main__":
    main()
