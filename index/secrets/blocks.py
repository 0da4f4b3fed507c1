"""Finds secrets on other lines than their names: on the next line, in a block scalar, a
here-document, a list of names and values, or a Kubernetes secret. Pure, standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from git_copilot.index.secrets.assignments import PASSWORD, Span
from git_copilot.index.secrets.names import NameSpan
from git_copilot.index.secrets.values import may_be_password, may_be_token, may_be_unquoted_secret

# How far below a name its value may be, in lines.
BLOCK_LINES = 20
NEXT_LINES = 3
MANIFEST = "Kubernetes Secret"

# The rest of a line after a name, if the value is on the next line.
_OPENS = re.compile(
    r"[\"'`]?\]?\s*(?::\s*[\w.\[\]]+\s*)?(?:=>|:?=|:)?\s*(?:[\w.]+)?[(\[{]?\s*\\?\s*$"
)
_GIVES = re.compile(r"=>|[=:({\[,\\]|^[\"']")
_QUOTED = re.compile(
    r"^\s*(?:return\s+)?[brufLRB@]{0,2}([\"'`])(?P<v>(?:\\.|(?!\1)[^\\])*)\1[\s)\]},;+.\\]*$"
)
_PLAIN = re.compile(r"^\s*(?P<v>[^\s\"'`]+)\s*\\?$")
_SCALAR = re.compile(r"[\"']?\s*:\s*(?:!\w+\s*)?[|>][+-]?\d?\s*(?:#.*)?$")
_HERE = re.compile(
    r"(?:<<[-~<]?\s*[\"']?(?P<here>[A-Za-z_]\w*)[\"']?.*|[=:(]\s*[brufR]{0,2}(?P<fence>\"\"\"|'''|`)\\?)$"
)
# A name given as a value: `name: DB_PASSWORD`, `"name": "x"`, `<name>x</name>`, `key = "x"`.
_NAMED = re.compile(
    r"^\s*(?:-\s+)?(?:\{\s*)?(?:[\"']?(?:name|key|Name|Key|variable_name|ParameterKey|OptionName)[\"']?\s*[:=]\s*[\"']?"
    r"|<(?:name|key|Name|Key)>\s*)(?P<n>[\w.-]+)[\"']?\s*(?:</\w+>)?\s*,?\s*$"
)
_VALUE = re.compile(
    r"^\s*(?:[\"']?(?:value|Value|ParameterValue|default|string)[\"']?\s*[:=]\s*|<(?:value|string|Value)>\s*)"
    r"(?P<q>[\"'])?(?P<v>[^\"'<>]+?)(?(q)(?P=q)|)\s*(?:</\w+>)?\s*[,}]*\s*$"
)
_LEAF = re.compile(r"^\s+[\"']?[\w.-]+[\"']?\s*:\s*[\"']?(?P<v>[^\s\"'#|>][^\"'#]*?)[\"']?\s*$")
_KIND = re.compile(r"^[\"']?kind[\"']?\s*:\s*[\"']?Secret[\"']?\s*$")
_DATA = re.compile(r"^(?:data|stringData)\s*:\s*$")
_LOGIN = re.compile(r"^\s*(?:machine|login|user|account|default)\b")
_NETRC = re.compile(r"^\s*password\s+[\"']?(?P<v>[^\s\"']+)[\"']?\s*$")
_VARIABLE = re.compile(r"^\s*variable\s+\"")
_DEFAULT = re.compile(r"\bdefault\s*=\s*\"(?P<v>[^\"]+)\"")
_TAG = re.compile(r"<([\w:.-]+)[^<>/]*>\s*$")


def block_values(
    lines: Sequence[str], at: int, found_names: Sequence[NameSpan], config: bool
) -> Iterator[tuple[int, Span]]:
    """Spans on other lines, with the lines' indices, of values assigned to one of ``found_names``
    on ``lines[at]``."""
    line = lines[at].rstrip()
    if config and _NETRC.match(line) and at and _LOGIN.match(lines[at - 1]):
        found = _NETRC.match(line)
        assert found is not None
        if may_be_unquoted_secret(found["v"], "password", strong=True):
            yield at, (*found.span("v"), PASSWORD)
        return
    beside = _NAMED.match(line)
    for start, end, strong in found_names:
        rest = line[end:]
        if beside is not None and beside.start("n") <= start < beside.end("n"):
            yield from _beside(lines, at, line[start:end], strong=strong)
        elif _VARIABLE.match(line):
            yield from _default(lines, at, line[start:end])
        elif config and _SCALAR.match(rest):
            yield from _whole(lines, at, _indented(lines, at))
        elif (here := _HERE.search(rest)) and _gives(rest):
            yield from _whole(lines, at, _until(lines, at, here))
        elif (rest.strip(" \"'") == "," and line[start] == "-") or (
            _OPENS.fullmatch(rest)
            and (_GIVES.search(rest) or line[:start].strip().startswith("--"))
        ):
            yield from _next(lines, at, line[start:end], strong=strong, config=config)
        elif _TAG.search(line) and ">" in rest:
            yield from _next(lines, at, line[start:end], strong=strong, config=True)


def _default(lines: Sequence[str], at: int, name: str) -> Iterator[tuple[int, Span]]:
    """The default value of a Terraform variable."""
    for number in range(at, min(at + NEXT_LINES + 3, len(lines))):
        found = _DEFAULT.search(lines[number])
        if found and may_be_password(found["v"], name):
            yield number, (*found.span("v"), PASSWORD)
        if lines[number].strip().endswith("}"):
            return


def _gives(rest: str) -> bool:
    return "=" in rest or ":" in rest or "<<" in rest


def _next(
    lines: Sequence[str], at: int, name: str, *, strong: bool, config: bool
) -> Iterator[tuple[int, Span]]:
    """The value on the next non-empty line, which must contain nothing else."""
    fits = may_be_password if strong else may_be_token
    for number in range(at + 1, min(at + NEXT_LINES, len(lines))):
        line = lines[number].rstrip()
        if not line.strip():
            continue
        found = _QUOTED.match(line)
        if found:
            if fits(found["v"], name) and " " not in found["v"]:
                yield number, (*found.span("v"), PASSWORD)
            return
        deeper = len(line) - len(line.lstrip()) > len(lines[at]) - len(lines[at].lstrip())
        bare = _PLAIN.match(line) if config and deeper else None
        if bare and ":" not in bare["v"] and may_be_unquoted_secret(bare["v"], name, strong=strong):
            yield number, (*bare.span("v"), PASSWORD)
        return


def _beside(
    lines: Sequence[str], at: int, name: str, *, strong: bool
) -> Iterator[tuple[int, Span]]:
    """The value of an entry of a list whose name is on the line before, or after it."""
    fits = may_be_password if strong or name.isupper() else may_be_token
    for number in (at + 1, at + 2, at - 1):
        if 0 <= number < len(lines):
            found = _VALUE.match(lines[number].rstrip())
            if found:
                if fits(found["v"], name) and " " not in found["v"]:
                    yield number, (*found.span("v"), PASSWORD)
                return


def _indented(lines: Sequence[str], at: int) -> Iterator[int]:
    depth = len(lines[at]) - len(lines[at].lstrip(" -"))
    for number in range(at + 1, min(at + 1 + BLOCK_LINES, len(lines))):
        line = lines[number]
        if line.strip() and len(line) - len(line.lstrip()) <= depth - (
            lines[at].lstrip()[:1] == "-"
        ):
            return
        yield number


def _until(lines: Sequence[str], at: int, here: re.Match[str]) -> Iterator[int]:
    end = here["here"] or here["fence"]
    for number in range(at + 1, min(at + 1 + BLOCK_LINES, len(lines))):
        text = lines[number].strip()
        if text.startswith(end) or (here["fence"] and end in text):
            return
        yield number


def _whole(lines: Sequence[str], at: int, block: Iterator[int]) -> Iterator[tuple[int, Span]]:
    """All lines of a block, if one of the first looks like a value rather than prose."""
    numbers = list(block)
    texts = [lines[n].strip() for n in numbers if lines[n].strip()]
    if not texts or len(texts) > BLOCK_LINES:
        return
    if not any(
        " " not in text and may_be_unquoted_secret(text, "", strong=True) for text in texts[:3]
    ):
        return
    for number in numbers:
        line = lines[number].rstrip()
        start = len(line) - len(line.lstrip())
        if start < len(line) and " " not in line.strip():
            yield number, (start, len(line), PASSWORD)


def manifest_values(lines: Sequence[str]) -> Iterator[tuple[int, Span]]:
    """The values of Kubernetes secrets: every leaf below ``data`` and ``stringData``."""
    begin = 0
    for end in [*(i for i, line in enumerate(lines) if line.startswith("---")), len(lines)]:
        if any(_KIND.match(line.rstrip()) for line in lines[begin:end]):
            yield from _leaves(lines, begin, end)
        begin = end


def _leaves(lines: Sequence[str], begin: int, end: int) -> Iterator[tuple[int, Span]]:
    inside = False
    for number in range(begin, end):
        line = lines[number].rstrip()
        if line and not line[0].isspace():
            inside = bool(_DATA.match(line))
        elif inside:
            found = _LEAF.match(line)
            if found and may_be_unquoted_secret(found["v"], "", strong=True):
                yield number, (*found.span("v"), MANIFEST)
            elif not found and ":" not in line and line.strip():  # of a block scalar
                start = len(line) - len(line.lstrip())
                yield number, (start, len(line), MANIFEST)
