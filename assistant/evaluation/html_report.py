"""An evaluation as one HTML page that needs nothing else: no script, no network, no font."""

from __future__ import annotations

import html
import math
import shlex
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from string import Template

from git_copilot.assistant.evaluation.arm_figures import FigureMaker, compare_saved, first_line
from git_copilot.assistant.evaluation.false_winners import false_winners
from git_copilot.assistant.evaluation.forest_plot import Row, forest_plot, signed
from git_copilot.assistant.evaluation.hole_results import (
    ADAPTER,
    ADAPTER_PLAIN,
    BASE,
    BASE_PLAIN,
    IN_USE,
    Group,
    HoleResult,
    compare_arms,
    control_name,
    groups_of,
    odds_ratio,
    smallest_gain,
)
from git_copilot.assistant.evaluation.metrics import Comparison, Interval
from git_copilot.assistant.evaluation.report import EvaluationReport

# Examples of each kind that are shown.
EXAMPLES = 8


def render_report(
    report: EvaluationReport, repository: str, command: Sequence[str], decision: str = ""
) -> str:
    """The page.

    :param report: with its results.
    :param command: the command that gives it again.
    :param decision: what followed from it, as a sentence.
    :raises ValueError: the report has no results.
    """
    results = report.results
    if not results:
        raise ValueError("a report without results")
    first, second = _main_arms(results[0].answers)
    main = compare_arms(results, first, second, report.seed)
    names = [control.name for control in report.controls]
    template = Template(files(__package__).joinpath("report.html").read_text("utf-8"))
    return template.substitute(
        title=_text(f"Evaluation of {repository}"),
        headline=_headline(main, first, second, len(results))
        + (f"<p>{_text(decision)}</p>" if decision else ""),
        facts=_facts(report, main, first, second),
        arms=_arms(results),
        plot=forest_plot(_comparisons(results, names, report.seed)),
        groups="".join(
            _groups(name, groups_of(results, key, first, second))
            for name, key in (
                ("Language", lambda r: r.hole.language or "unknown"),
                ("Kind of hole", lambda r: r.hole.kind),
                ("Author", lambda r: r.hole.author),
                ("Snippets", lambda r: "in the prompt" if r.snippets else "none found"),
            )
        ),
        won=_examples([r for r in results if r.won(first, second) > 0], first, second),
        lost=_examples([r for r in results if r.won(first, second) < 0], first, second),
        won_by=_text(second),
        lost_by=_text(second),
        dropped=_text(_dropped(report)),
        command=_text(shlex.join(command)),
        settings="".join(
            f"<tr><th scope=row>{_text(name)}<td>{_text(str(value))}"
            for name, value in report.to_json()["settings"].items()
        ),
    )


def _dropped(report: EvaluationReport) -> str:
    """What was left out of the comparison, and why."""
    known = report.dropped
    if known is None:
        return (
            f"{report.copies_dropped} holes were not learnt because a held-out hole, or the text"
            " around it, contained them or a near copy."
        )
    return (
        f"{known.learnt} holes were left out because the adapter learnt them or a near copy, and"
        f" {known.shown} because the text around what it learnt showed them."
    )


def _text(value: str) -> str:
    return html.escape(value, quote=True)


def _main_arms(arms: Container[str]) -> tuple[str, str]:
    """The arms that the page compares: the adapter with what it competes with."""
    if ADAPTER in arms:
        return IN_USE if IN_USE in arms else BASE, ADAPTER
    return BASE_PLAIN if BASE_PLAIN in arms else BASE, BASE


def _headline(comparison: Comparison, first: str, second: str, holes: int) -> str:
    row = Row.of(second, comparison)
    if row.low > 0:
        verdict = f"{second} completes more holes exactly than {first}"
    elif row.high < 0:
        verdict = f"{second} completes fewer holes exactly than {first}"
    else:
        verdict = f"{second} cannot be told apart by exact match from {first}"
    return (
        f"<p class=verdict>{_text(verdict[0].upper() + verdict[1:])}:"
        f" <strong>{signed(row.value)} points</strong>"
        f" <span class=ci>{row.interval or 'no interval: one commit'}</span> on {holes} holes.</p>"
    )


def _facts(report: EvaluationReport, main: Comparison, first: str, second: str) -> str:
    ratio = odds_ratio(main)
    before, after = ([r.answers[arm].score for r in report.results] for arm in (first, second))
    saved = compare_saved(report.results, first, second, report.seed)
    oldest, newest = report.held_out.commits
    facts = (
        ("Commits", f"{oldest[:12]} to {newest[:12]}"),
        ("Base model", report.base_model),
        ("Adapter", report.candidate or "none"),
        ("Won and lost", f"{main.won} and {main.lost}"),
        ("p (McNemar, exact)", f"{main.p_value:.3f}"),
        ("Odds ratio", "none lost" if ratio is None else f"{ratio:.2f}"),
        ("Characters saved", f"{signed(saved.value)} points{_range(saved)}"),
        ("A/A winners", f"{100 * false_winners(before, after):.1f}%"),
        ("Smallest gain to be seen", f"{smallest_gain(main, len(report.results)):.1f} points"),
        ("Form of the holes", report.settings.evaluation_form),
    )
    return "".join(f"<div><dt>{_text(a)}<dd>{_text(b)}</div>" for a, b in facts)


def _range(interval: Interval) -> str:
    if not math.isfinite(interval.low):
        return ""
    return f" [{signed(interval.low)}, {signed(interval.high)}]"


def _arms(results: Sequence[HoleResult]) -> str:
    rows, figures = [], FigureMaker(results)
    for name in results[0].answers:
        found = figures.of(name)
        rows.append(
            f"<tr><th scope=row>{_text(name)}"
            f"<td>{found.exact_match:.1f}"
            f"<td>{found.first_line:.1f}"
            f"<td>{found.edit_similarity:.1f}"
            f"<td>{found.saved:.1f}"
            f"<td>{found.crystal_bleu:.1f}"
            f"<td>{found.bits_per_byte:.3f}"
            f"<td>{found.overrun:.1f}"
            f"<td>{found.empty:.1f}"
        )
    return "".join(rows)


def _comparisons(results: Sequence[HoleResult], controls: Sequence[str], seed: int) -> list[Row]:
    arms = results[0].answers
    last, name = (ADAPTER, "the adapter") if ADAPTER in arms else (BASE, "the base model")
    pairs = [
        ("retrieval, with the base model", BASE_PLAIN, BASE),
        ("the adapter, without retrieval", BASE_PLAIN, ADAPTER_PLAIN),
        ("the adapter, with retrieval", BASE, ADAPTER),
        ("the adapter over the one in use", IN_USE, ADAPTER),
        ("both", BASE_PLAIN, ADAPTER),
        *((f"{name} over {control}", control_name(control), last) for control in controls),
    ]
    return [
        Row.of(label, compare_arms(results, before, after, seed))
        for label, before, after in pairs
        if before in arms and after in arms
    ]


def _groups(name: str, groups: Sequence[Group]) -> str:
    if len(groups) < 2:
        return ""
    rows = [Row.of(f"{group.name} ({group.holes})", group.comparison) for group in groups]
    return f"<h3>{_text(name)}</h3>{forest_plot(rows)}"


def _examples(results: Iterable[HoleResult], first: str, second: str) -> str:
    found = []
    for result in list(results)[:EXAMPLES]:
        hole = result.hole
        when = datetime.fromtimestamp(hole.time, UTC).date().isoformat()
        line = result.before.count("\n")
        shown = "".join(
            f"<figure><figcaption>{_text(name)}</figcaption>"
            f"<pre>{_text(_last_lines(result.before))}<mark class={kind}>{_text(text)}</mark>"
            f"{_text(first_line(result.after))}</pre></figure>"
            for name, text, kind in (
                ("what was written", result.truth, "truth"),
                (first, result.answers[first].text, "answer"),
                (second, result.answers[second].text, "answer"),
            )
        )
        snippets = ", ".join(result.snippets) or "none"
        found.append(
            f"<article><h4>{_text(hole.path)}:{line + 1}</h4>"
            f"<p class=origin>{_text(hole.commit[:12])}, {when}, {_text(hole.author)}."
            f" Snippets: {_text(snippets)}</p><div class=side>{shown}</div></article>"
        )
    return "".join(found) or "<p>None.</p>"


def _last_lines(text: str, count: int = 5) -> str:
    return "\n".join(text.split("\n")[-count:])
