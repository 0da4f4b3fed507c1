"""A history as its author would have lived it: ``python bench/replay.py --repo PATH [--quick]
[--json] [--every N] [--refreshes N] [--minutes M] [--holes N] [--start base|adapter|replay]``.

A clone begins some commits ago. At each stage the adapter is refreshed from what is there, then the
clone goes on by ``--every`` commits, and ``eval`` asks how the candidate completes what was written
in them: code that neither training nor the gate has seen. Printed are, for each refresh, its cost,
what the gate said, and what came after; then how many promotions did harm (later code was
significantly less exact or less likely than by the base model), how many refusals cost a
significant gain, and whether the gate's likelihood foretells the later one.

Time limits make results differ between machines; everything else is seeded.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from about import machine, output

ROOT = Path(__file__).resolve().parent.parent
STARTS = ("base", "adapter", "replay")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two short refreshes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repo", type=Path, default=ROOT, help="clone this (default: ours)")
    parser.add_argument("--every", type=int, default=60, help="commits between refreshes (60)")
    parser.add_argument("--refreshes", type=int, default=6, help="how many (6)")
    parser.add_argument("--minutes", type=int, default=10, help="limit of each refresh (10)")
    parser.add_argument("--holes", type=int, default=100, help="judged after each (100)")
    parser.add_argument("--start", choices=STARTS, default="base", help="copilot.refreshStart")
    parser.add_argument("--model", help="instead of the default model")
    options = parser.parse_args()
    if options.quick:
        options.refreshes, options.minutes, options.holes = 2, 3, 20
    with tempfile.TemporaryDirectory(prefix="bench-replay-") as temporary:
        os.environ["XDG_RUNTIME_DIR"] = temporary  # no server of the user's
        project = Path(temporary) / "project"
        subprocess.run(["git", "clone", "-q", str(options.repo), str(project)], check=True)
        stages = replay(project, options)
    result = {
        "bench": "replay",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "repository": options.repo.resolve().name,
        "settings": {
            name: getattr(options, name)
            for name in ("every", "refreshes", "minutes", "holes", "start", "model")
        },
        "stages": stages,
        "summary": summary(stages),
    }
    print(json.dumps(result, indent=1) if options.json else table(result))
    return 0


def replay(project: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """What each refresh said, and what came after it.

    :raises SystemExit: the history is too short.
    """
    commits = output("git", "-C", str(project), "rev-list", "--first-parent", "HEAD").split()
    back = [options.every * i for i in range(options.refreshes, -1, -1)]
    if back[0] >= len(commits):
        raise SystemExit(f"{options.repo} has {len(commits)} commits: {back[0]} are replayed")
    git(project, "config", "copilot.refreshCommits", "0")
    git(project, "config", "copilot.refreshStart", options.start)
    if options.model:
        git(project, "config", "copilot.model", options.model)
    git(project, "reset", "-q", "--hard", commits[back[0]])
    copilot(project, "init", "--no-hooks")
    stages = []
    for before, after in itertools.pairwise(back):
        print(f"refresh at HEAD~{before}", file=sys.stderr)
        report = asked(project, "refresh", "--minutes", str(options.minutes))
        git(project, "reset", "-q", "--hard", commits[after])
        stages.append(stage(project, report, f"{commits[before]}..{commits[after]}", options.holes))
    return stages


def stage(project: Path, report: dict[str, Any], later: str, holes: int) -> dict[str, Any]:
    """One refresh, and how its candidate and the adapter in use complete what came after."""
    found: dict[str, Any] = {"commits": later}
    if "error" in report:
        return found | report
    gate = ("promoted", "reason", "delta_em", "ci95", "delta_middle_nll", "middle_nll_ci95")
    found |= {name: report[name] for name in (*gate, "holes", "started_from", "seconds")}
    found["trained_seconds"] = report["training"]["seconds"]
    candidate = report["candidate"]
    what_came = ("eval", "--commits", later, "--holes", str(holes), "--adapter", candidate)
    evaluation = asked(project, *what_came)
    if "error" in evaluation:
        return found | {"later": evaluation}
    arms = evaluation["arms"]
    facts = (*gate[2:], "won", "lost", "holes")
    found["later"] = {name: evaluation[name] for name in facts} | {
        "base_em": arms["base"]["em"],
        "candidate_em": arms["candidate"]["em"],
        "in_use_em": arms["incumbent"]["em"],
    }
    return found


def summary(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """Promotions and refusals against what came after."""
    judged = [s for s in stages if "delta_em" in s.get("later", {})]
    pairs = [(s["delta_middle_nll"], s["later"]["delta_middle_nll"]) for s in judged]
    to_exact = [(-s["delta_middle_nll"], s["later"]["delta_em"]) for s in judged]
    return {
        "judged": len(judged),
        "promoted": sum(s["promoted"] for s in judged),
        "harmful_promotions": sum(s["promoted"] and is_harmful(s["later"]) for s in judged),
        "refused_gains": sum(not s["promoted"] and is_gain(s["later"]) for s in judged),
        "mean_later_delta_em": _mean([s["later"]["delta_em"] for s in judged]),
        "mean_later_delta_nll": _mean([s["later"]["delta_middle_nll"] for s in judged]),
        "gate_likelihood_foretells_likelihood": _rank_correlation(pairs),
        "gate_likelihood_foretells_exact_match": _rank_correlation(to_exact),
    }


def is_harmful(later: dict[str, Any]) -> bool:
    """Whether later code was significantly less exact or less likely."""
    high, low = later["ci95"][1], later["middle_nll_ci95"][0]
    return (high is not None and high < 0) or (low is not None and low > 0)


def is_gain(later: dict[str, Any]) -> bool:
    """Whether later code was significantly more exact."""
    low = later["ci95"][0]
    return low is not None and low > 0


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _rank_correlation(pairs: list[tuple[float, float]]) -> float | None:
    """Spearman's; ``None`` where fewer than three pairs, or equal values, say nothing."""
    from scipy.stats import spearmanr

    if len(pairs) < 3 or any(len(set(values)) == 1 for values in zip(*pairs, strict=True)):
        return None
    return round(float(spearmanr(*zip(*pairs, strict=True)).statistic), 3)


def copilot(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of git-copilot; what it notes goes to this process's stderr."""
    command = [sys.executable, "-m", "git_copilot.assistant.entry", *words]
    return subprocess.run(command, cwd=project, stdout=subprocess.PIPE, text=True, check=False)


def asked(project: Path, *words: str) -> dict[str, Any]:
    """The JSON of a command, or ``{"error": …}`` where it could not be done."""
    done = copilot(project, *words, "--json")
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return {"error": f"exit code {done.returncode}"}


def git(project: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=project, check=True)


def table(result: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = [
        f"{'':<10}{'seconds':>8}{'gate EM':>9}{'gate nats':>11}{'':>3}{'later EM':>9}"
        f"{'[95%]':>16}{'later nats':>12}"
    ]
    for number, found in enumerate(result["stages"], 1):
        later = found.get("later", {})
        if "delta_em" not in found or "delta_em" not in later:
            lines.append(f"{number:<10}{found.get('error') or later.get('error')}")
            continue
        said = "promoted" if found["promoted"] else "refused"
        low, high = ("-" if end is None else f"{end:+.1f}" for end in later["ci95"])
        gate_em = "-" if found["delta_em"] is None else f"{found['delta_em']:+.1f}"
        lines.append(
            f"{said:<10}{found['seconds']:>8.0f}{gate_em:>9}{found['delta_middle_nll']:>+11.3f}"
            f"{'':>3}{later['delta_em']:>+9.1f}{f'[{low}, {high}]':>16}"
            f"{later['delta_middle_nll']:>+12.3f}"
        )
    lines += [f"{name.replace('_', ' ')}: {value}" for name, value in result["summary"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
