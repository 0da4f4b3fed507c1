"""Shows figures and holes on a terminal or a pipe. Pure: values in, lines of text out.

What comes out of a repository is text of strangers: nothing of it may reach a terminal as a
command, so control characters are shown, not sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from git_copilot.assistant.core.terminal import Terminal, style
from git_copilot.assistant.dataset.statistics import STANDS, UNKNOWN
from git_copilot.index.core.escaping import printable

if TYPE_CHECKING:  # what explains a hole takes long to import
    from git_copilot.assistant.dataset.explain import Explanation
    from git_copilot.assistant.dataset.samples import Sample

BAR_WIDTH = 16
ROWS = 10
# Of the lines around a hole, so many characters next to it.
SIDE_CHARACTERS = 160
_BLOCKS = "▏▎▍▌▋▊▉█"
_LEADING = re.compile(r"\s*")
_SAYS = {"for": "green", "against": "red", "unknown": "yellow"}
_VISIBLE = {" ": "·", "\t": "→", "\n": "↵\n"}


@dataclass(frozen=True, slots=True)
class Look:
    """How to show things: with ``colour``, with ``bars``, and in which ``encoding``."""

    colour: bool = False
    bars: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of(cls, terminal: Terminal) -> Look:
        """Bars on a terminal; colours there unless NO_COLOR is set."""
        return cls(terminal.colour, terminal.out.screen, terminal.out.encoding)

    def style(self, text: str, **how: Any) -> str:
        """``text`` in a style, line by line, so that a pager may begin anywhere."""
        return style(text, **how) if self.colour else text

    def fit(self, line: str) -> str:
        """``line`` with what the encoding lacks written as escapes."""
        return line.encode(self.encoding, "backslashreplace").decode(self.encoding)


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """A bar of up to ``width`` characters for a share of 0 to 1; something for all but 0."""
    eighths = max(round(share * width * 8), share > 0)
    whole, rest = divmod(eighths, 8)
    return _BLOCKS[-1] * whole + (_BLOCKS[rest - 1] if rest else "")


def table(
    look: Look, title: str, rows: Mapping[str, int], notes: Mapping[str, str] | None = None
) -> list[str]:
    """A title, and rows of a number, a bar on a terminal, and a name with what ``notes`` say of
    it. Of many rows the first :data:`ROWS` are shown, and what the others sum up to."""
    lines = ["", look.style(title, bold=True)]
    if not rows:
        return [*lines, f"{'none':>8}"]
    largest = max(1, *rows.values())
    width = max(map(len, notes)) if notes else 0
    for name, number in list(rows.items())[:ROWS]:
        note = (notes or {}).get(name, "")
        lines.append(_row(look, number, number / largest, f"{printable(name):<{width}}{note}"))
    others = list(rows.values())[ROWS:]
    if others:
        room = " " * (BAR_WIDTH + 2 if look.bars else 0)
        lines.append(f"{_number(look, sum(others))}  {room}and {len(others)} others")
    return lines


def _row(look: Look, number: int, share: float, name: str) -> str:
    length = look.style(f"{bar(share):<{BAR_WIDTH}}", fg="cyan") + "  " if look.bars else ""
    return f"{_number(look, number)}  {length}{name}"


def _number(look: Look, number: int) -> str:
    """Grouped for eyes, plain for scripts."""
    return f"{number:>8,}" if look.bars else f"{number:>8}"


def figures_lines(look: Look, figures: Mapping[str, Any]) -> list[str]:
    """All figures of the corpus."""
    survival = figures["survival"]
    notes = {name: _survival_note(each) for name, each in survival.items()}
    return [
        f"{figures['holes']} holes of {figures['commits']} commits by {figures['authors']} authors",
        *table(look, "kind", figures["kind"]),
        *table(look, "language", figures["language"]),
        *table(look, "author", figures["author"]),
        *table(look, "month", figures["month"]),
        *table(look, "code or tests", figures["tests"]),
        *table(look, "survival", {name: each["holes"] for name, each in survival.items()}, notes),
        *table(look, "commits", figures["status"]),
        *table(look, "left out of mined commits", figures["left_out"]),
    ]


def _survival_note(each: Mapping[str, Any]) -> str:
    note = f"  {each['share']:.1%}"
    days = each["median_days"]
    return note if days is None else f"{note}, half of them within {days:,g} days"


def sample_lines(look: Look, sample: Sample, prefix: str = "") -> list[str]:
    """A header and the text: the middle marked, what is around it dim, lines numbered.

    :param prefix: leads from the current folder to the top of the working tree.
    """
    hole = sample.hole
    when = sample.fields()["time"][:10]
    header = "  ".join(
        [
            look.style(f"{printable(prefix + hole.path)}:{sample.line}", bold=True, fg="cyan"),
            f"hole {hole.id}",
            hole.commit[:10],
            printable(hole.author),
            when,
            hole.kind,
            f"weight {sample.weight:.2f} ({printable(sample.why)})",
        ]
    )
    first = sample.line - sample.before.count("\n")
    begin, end = ("", "") if look.colour else ("⟦", "⟧")
    text = (
        look.style(_side(sample.before, last=True), dim=True)
        + begin
        + look.style(visible(sample.middle), fg="green", bold=True)
        + end
        + look.style(_side(sample.after, last=False), dim=True)
    )
    # The marks of line ends add lines only where the text has them.
    numbered = (f"{number:>6}  {line}" for number, line in enumerate(text.split("\n"), first))
    return [header, *numbered]


def visible(middle: str) -> str:
    """The middle with the white space that it begins with made visible."""
    leading = _LEADING.match(middle)
    assert leading is not None  # an empty match is one
    shown = "".join(_VISIBLE.get(char, printable(char)) for char in leading[0])
    return shown + printable(middle[leading.end() :], keep="\n\t")


def _side(text: str, *, last: bool) -> str:
    """The lines before (``last``) or after a middle; long ones cut, on the side away from it."""
    lines = text.split("\n")
    beside = len(lines) - 1 if last else 0
    shown = [
        line[-SIDE_CHARACTERS:] if last and i == beside else line[:SIDE_CHARACTERS]
        for i, line in enumerate(lines)
    ]
    return "\n".join(printable(line, keep="\t") for line in shown)


def explanation_lines(look: Look, explanation: Explanation, prefix: str = "") -> list[str]:
    """A hole's text, where it comes from, what became of it, and what every rule says."""
    facts = explanation.facts
    learnt = ", ".join(facts["adapters"])
    lines = [
        *sample_lines(look, explanation.sample, prefix),
        "",
        f"commit    {facts['commit']} {printable(facts['subject'] or '(gone)')}",
        f"author    {printable(facts['author'])}, {facts['time']}",
        f"blob      {facts['blob']}, bytes {facts['start_byte']} to {facts['end_byte']}",
        f"survival  {printable(_survival_line(facts['survival']))}",
        f"adapters  {f'{learnt} learnt from its commit' if learnt else 'none learnt from it'}",
    ]
    for rule in explanation.rules:
        says = look.style(f"{rule.says:<10}", fg=_SAYS[rule.says])
        lines.append(f"{says}{rule.rule}: {printable(rule.because)}")
    verdict = "would learn from it" if explanation.taken else "would leave it out"
    return [*lines, look.style(f"a refresh now {verdict}", bold=True)]


def _survival_line(found: Mapping[str, Any]) -> str:
    if found["fate"] == UNKNOWN:
        return "unknown: its commit is not in HEAD's history, or nothing was followed yet"
    if found["fate"] == STANDS:
        return "every line of it stands at HEAD"
    return (
        f"{found['fate']} after {found['days']:,g} days by {found['died_commit'][:10]} "
        f"({found['died_subject'] or 'gone'}); {found['stands']:.0%} of its lines stand at HEAD"
    )
