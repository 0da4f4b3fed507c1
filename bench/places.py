"""Completions at the cursors where people are: ``python bench/places.py --repo PATH…``.

Places come from the newest commits, in the text as it was while its author wrote it: before the
cursor the new code, behind it the parent's, and on the cursor's line nothing or, at four of five
places with an open pair, the closers that an editor has inserted. The worktree and the index are
those of the commit's parent. Each place is asked as an editor asks, through the whole use case.
Kinds and their proportions: :data:`place_kinds.WEIGHTS`.

Verdicts by rule (verdicts.py), of what is shown: ``exact``: as many lines as the answer has are
what was written, or it is what was written between the pair; ``acceptable``: exact, or at most two
tokens or a fifth differ, and less than half; ``harmful``: neither, and has a syntax error where what was
written has none, names something that is defined nowhere, or repeats what stands there. Nothing
shown is ``silent``; at places of the kind ``nothing``, where the author wrote no more, that is
right.

Prompts are whole; ``--latency 400`` asks as a person waits (``copilot.latencyMs``), with the
default limit for the whole answer. ``--keys 2`` asks where a word of more than two characters follows,
once two are typed. ``--set KEY=VALUE`` sets ``copilot.KEY``. Fair only on
repositories that neither a model (bench/seed/recipe.toml) nor a rule was fitted on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from about import machine, name_of, output
from isa import add_isa_option, limit_instructions
from place_kinds import WEIGHTS, TypedPlace, choose_places
from verdicts import Verdict, identifiers, judge

from git_copilot.assistant.api.answers import proposal_json
from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import find_place
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.core.process import calm_threads
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.core.terminal import Stream
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.index.embedding.embedders import load_embedder
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.classify import language_of

ROOT = Path(__file__).resolve().parent.parent
PLACES, QUICK = 100, 12  # of each repository
THRESHOLDS = (0, 5, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70)


@dataclass(frozen=True, slots=True)
class Answered:
    """A place, what was shown there, and the verdict."""

    place: TypedPlace
    text: str
    verdict: Verdict
    milliseconds: float
    snippets: int
    prompt_tokens: int
    finish: str
    reason: str | None
    more: dict[str, Any]

    def row(self, repository: str) -> dict[str, Any]:
        place = self.place
        return {
            "repository": repository, "commit": place.commit[:12], "path": place.path,
            "line": place.line, "column": place.column, "kind": place.kind,
            "language": place.language, "before": "\n".join(place.prefix.split("\n")[-6:]),
            "closers": place.closers, "below": "\n".join(place.below.split("\n")[:4]),
            "truth": place.inner if place.inner is not None else place.full, "full": place.full,
            "text": self.text, **asdict(self.verdict), "ms": round(self.milliseconds),
            "snippets": self.snippets, "prompt_tokens": self.prompt_tokens,
            "finish": self.finish, "reason": self.reason, **self.more,
        }  # fmt: skip


class Worktree:
    """A clone in which git-copilot is set up, moved from parent to parent."""

    def __init__(self, source: Path, folder: Path, settings: dict[str, str]) -> None:
        self._folder = folder
        if not folder.exists():
            _git("clone", "-q", "--shared", "--no-checkout", str(source), str(folder))
        self.repo = GitRepository.discover(folder)
        for key, value in settings.items():
            self.repo.set_config(f"copilot.{key}", value)
        trust_repository(self.repo.state_dir)
        path = self.repo.state_dir / DATABASE_NAME
        self._db = Database(path, create=not path.exists())
        self._names: dict[str, frozenset[str]] = {}
        name = Settings().embedder
        self._embedder = load_embedder(name, resolve_model(name))

    def move(self, commit: str) -> frozenset[str]:
        """Check a commit out and index it; returns every identifier in its files."""
        _git("-C", str(self._folder), "checkout", "-q", "--force", "--detach", commit)
        _git("-C", str(self._folder), "clean", "-qfdx")
        sync(self.repo, self._db, self._embedder)
        entries = [
            e for e in self.repo.ls_tree(f"{commit}^{{tree}}") if language_of(e.path) != "text"
        ]
        missing = dict.fromkeys(e.oid for e in entries if e.oid not in self._names)
        for oid, data in self.repo.blobs(missing):
            self._names[oid] = frozenset(identifiers(data.decode("utf-8", "replace")))
        return frozenset().union(*(self._names.get(e.oid, frozenset()) for e in entries))

    def ask(
        self, place: TypedPlace, session: Session, known: frozenset[str], *, retrieval: bool
    ) -> Answered:
        file = self._folder / place.path
        file.parent.mkdir(parents=True, exist_ok=True)
        request = CompleteRequest(
            f"{place.path}:{place.line}:{place.column}", self._folder, text=place.text.encode(),
            retrieval=retrieval,
        )  # fmt: skip
        answer = complete(request, find_place(request), session, Callbacks())
        session.take_deferred()
        proposals = [
            {**proposal_json(each), **asdict(judge(place, each.text, known))}
            for each in answer.explanation.proposals
        ]
        return Answered(
            place, answer.completion, judge(place, answer.completion, known),
            answer.timings.total, len(answer.snippets), answer.prompt_tokens,
            answer.finish_reason, answer.explanation.trim_rule,
            {"confidence": answer.confidence, "why": answer.why_empty, "proposals": proposals},
        )  # fmt: skip


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def ask_all(
    source: Path, folder: Path, count: int, options: argparse.Namespace, session: Session
) -> Iterator[Answered]:
    """Every place of one repository."""
    settings = {
        "feedback": "false", "latencyMs": str(options.latency),
        "timeLimitMs": str(Settings().time_limit_ms if options.latency else 0),
        **dict(pair.split("=", 1) for pair in options.set),
    }  # fmt: skip
    tree = Worktree(source, folder, settings)
    at, known = "", frozenset[str]()
    for place in choose_places(GitRepository.discover(source), count, options.seed):
        if options.kind and place.kind not in options.kind:
            continue
        if options.keys:
            later = place.after_keys(options.keys)
            if later is None:
                continue
            place = later
        if place.parent != at:
            at, known = place.parent, tree.move(place.parent)
        yield tree.ask(place, session, known, retrieval=not options.no_retrieval)


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts and percentages of some places."""
    shown = [row for row in rows if row["shown"]]
    harms = Counter(harm for row in shown for harm in row["harm"])
    silent = [row for row in rows if not row["shown"]]
    return {
        "places": len(rows),
        "shown": len(shown),
        "exact": _percent(sum(row["exact"] for row in shown), len(shown)),
        "acceptable": _percent(sum(row["acceptable"] for row in shown), len(shown)),
        "harmful": _percent(sum(bool(row["harm"]) for row in shown), len(shown)),
        "harms": dict(harms.most_common()),
        "acceptable_of_all": _percent(sum(row["acceptable"] for row in shown), len(rows)),
        "silent": len(silent),
        "rightly_silent": sum(row["kind"] == "nothing" for row in silent),
    }


def curve(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is shown, and how much of it is right, by the least confidence at which it is shown.
    Meant for places that were asked with ``--set confidence=0``: a higher threshold of the settings
    may choose a likelier proposal where this one leaves the place silent."""
    found = []
    for threshold in THRESHOLDS:
        shown = [
            row
            for row in rows
            if row["shown"] and (row.get("confidence") or 0.0) * 100 >= threshold
        ]
        found.append(
            {
                "confidence": threshold,
                "shown": _percent(len(shown), len(rows)),
                **{
                    name: _percent(sum(bool(row[key]) for row in shown), len(shown))
                    for name, key in (
                        ("exact", "exact"), ("acceptable", "acceptable"), ("harmful", "harm"),
                    )
                },
            }
        )  # fmt: skip
    return found


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def ask_repositories(options: argparse.Namespace, bar: ProgressBar) -> list[dict[str, Any]]:
    """Every place of every repository as a row."""
    rows: list[dict[str, Any]] = []
    session = Session()
    if options.completions:
        options.completions.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        for given in options.repo:
            path, _, number = str(given).partition("=")
            count = int(number or options.places)
            name = name_of(Path(path), GitRepository.discover(Path(path)))
            folder = (options.work or Path(temporary)) / name
            for done, answered in enumerate(ask_all(Path(path), folder, count, options, session)):
                bar(name, done, count)
                rows.append(answered.row(name))
                if options.completions:  # at once: a long run may be interrupted
                    with options.completions.open("a", encoding="utf-8") as file:
                        file.write(f"{json.dumps(rows[-1])}\n")
    session.close()
    return rows


def summarise(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """The figures of all places, of each kind and of each language."""
    times = sorted(row["ms"] for row in rows)
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in WEIGHTS}
    languages = sorted({row["language"] for row in rows})
    return {
        "bench": "places",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "settings": {
            "repositories": dict(Counter(row["repository"] for row in rows)),
            "latency": options.latency, "seed": options.seed, "keys": options.keys,
            "retrieval": not options.no_retrieval, "set": options.set,
        },
        "all": figures(rows),
        "paired": figures([row for row in rows if row["closers"]]),
        "kinds": {kind: figures(found) for kind, found in kinds.items() if found},
        "languages": {
            language: figures([row for row in rows if row["language"] == language])
            for language in languages
        },
        "milliseconds": {
            "median": round(times[len(times) // 2]), "p90": round(times[len(times) * 9 // 10]),
        },
        "curve": curve(rows),
        "with_snippets": sum(row["snippets"] > 0 for row in rows),
        "prompt_tokens": round(sum(row["prompt_tokens"] for row in rows) / len(rows)),
    }  # fmt: skip


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [
        f"{'':<18}{'places':>7}{'shown':>7}{'exact':>7}{'accept.':>8}{'harmful':>8}{'silent':>7}  harms"
    ]
    rows = {
        "all": result["all"],
        "paired": result["paired"],
        **result["kinds"],
        **result["languages"],
    }
    for name, row in rows.items():
        harms = ", ".join(f"{k} {v}" for k, v in row["harms"].items())
        lines.append(
            f"{name:<18}{row['places']:>7}{row['shown']:>7}{row['exact']:>7}{row['acceptable']:>8}"
            f"{row['harmful']:>8}{row['silent']:>7}  {harms}"
        )
    lines.append(f"{'confidence':<18}{'':>7}{'shown%':>7}{'exact':>7}{'accept.':>8}{'harmful':>8}")
    lines += [
        f"{each['confidence']:<18}{'':>7}{each['shown']:>7}{each['exact']:>7}{each['acceptable']:>8}"
        f"{each['harmful']:>8}"
        for each in result["curve"]
    ]
    lines.append(f"ms {result['milliseconds']}, {result['prompt_tokens']} prompt tokens, "
                 f"{result['with_snippets']} with snippets")  # fmt: skip
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--repo", type=Path, nargs="+", default=[ROOT], help="PATH or PATH=PLACES")
    add("--places", type=int, default=PLACES, help="of each repository")
    add("--quick", action="store_true", help=f"{QUICK} places of each repository")
    add("--latency", type=int, default=0, metavar="MS", help="copilot.latencyMs (0: whole prompts)")
    add("--kind", nargs="+", choices=list(WEIGHTS), help="only these kinds")
    add("--keys", type=int, default=0, help="in words, after so many of their characters")
    add("--no-retrieval", action="store_true")
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings, without `copilot.`")
    add("--seed", type=int, default=0)
    add("--work", type=Path, help="folder in which clones and their indexes are kept")
    add("--from", dest="files", type=Path, nargs="+", help="figures of such files, without asking")
    add("--completions", type=Path, metavar="FILE", help="write every place, as JSON lines")
    add("--json", action="store_true", help="print one JSON object")
    add_isa_option(parser)
    options = parser.parse_args(arguments)
    limit_instructions(arguments)  # torch is imported later
    calm_threads()
    if options.quick:
        options.places = QUICK
    if options.files:
        lines = (line for file in options.files for line in file.read_text("utf-8").splitlines())
        rows = [json.loads(line) for line in lines]
    else:
        bar = ProgressBar(Stream(sys.stderr, screen=sys.stderr.isatty()))
        rows = ask_repositories(options, bar)
        bar.finish()
    result = summarise(rows, options)
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
