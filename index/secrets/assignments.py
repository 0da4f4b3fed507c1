"""Finds values assigned to the names of secrets. Pure, standard library only.

Each form of assignment is a pattern for the text after a name found by :mod:`.names`. A value
counts whatever its form, unless :mod:`.values` finds that it is plainly no secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from git_copilot.index.secrets.names import NameSpan
from git_copilot.index.secrets.values import (
    is_made_of_words,
    may_be_password,
    may_be_token,
    may_be_unquoted_secret,
)

PASSWORD, TOKEN = "Password", "Named Secret"
Span = tuple[int, int, str]

_QUOTE = r"(?:[@$LrbufRBUF]{0,2})(?P<q>\"\"\"|'''|[\"'`])(?P<v>(?:\\.|(?!(?P=q))[^\\\n])*)(?P=q)"
# Calls that return or wrap their text argument.
_WRAP = (
    r"(?:(?:(?:new|await|return|&)\s*)?(?:String(?:::from|\.valueOf)?|SecretStr|Secret(?:String|Key|Text)?"
    r"|SecureString|\[\]byte|Some|Ok|str|bytes|bytearray|Buffer\.from|base64\.b64decode|b64decode|atob|to_string"
    r"|Optional\.of|text|sensitive|\w*[Pp]assword|\w*[Ss]ecret|\w*[Tt]oken)\(\s*"
    r"|(?:[\w.$]+(?:\[[\w\"'.]+\]|\([\w\"'., ]*\))?\s*(?:\|\||\?\?|\?:|\bor\b)\s*)|[(\[{&]\s*)?"
)
_TYPE = r"(?:\s+As\s+\w+|:\s*[\w.&'<>\[\]|?, ]{1,40}?|\[\d*\]|\s+(?:string|\[\]byte|&str|String))?"
_CLOSE = r"(?:\\?[\"'`]\s*\]?|\]|\))?"
_GIVEN = re.compile(
    rf"{_CLOSE}[?!]?\s*{_TYPE}\s*(?P<op>=>|:=|\?=|=|::?|<-|\|\||\?\?|\?:|\bor\b)\s*{_WRAP}{_QUOTE}"
)
_COMPARED = re.compile(rf"{_CLOSE}\s*(?:===?|!==?|\.equals\(|\.eq\()\s*{_WRAP}{_QUOTE}")
_PAIRED = re.compile(rf"[\"'`]\s*,\s*(?:\w+\s*[=:]\s*)?{_WRAP}{_QUOTE}")
_CALLED = re.compile(rf"[({{]\s*{_QUOTE}\s*[)}},]")
_SETTER = re.compile(r"(?:^|[._])(?:set|with)[A-Z_]|^\.password$")
_LISTED = re.compile(r"[sS][\"']?\]?\s*[:=]\s*[\[({]")
_ITEM = re.compile(r"[\"'`](?P<v>[^\"'`\s]+)[\"'`]\s*[,\])}]")
_ELEMENT = re.compile(r"(?:[\"']\s*)?>\s*(?:<!\[CDATA\[)?(?P<v>[^<>\s][^<>]*?)\s*(?:\]\]>)?</")
_VALUED = re.compile(
    r"[\"']?\s*(?:,|:\s*\{)?\s*(?:/?>|</\w+>)?\s*(?:<value>|<string>|(?:\w+=[\"'][^\"']*[\"']\s*)*"
    r"[\"']?(?:[Vv]alue|content)[\"']?\s*[:=]\s*[\"'])"
    r"(?P<v>[^\"'<>]+)[\"'<]"
)
_FLOW = re.compile(r"\s*,\s*value:\s*(?P<v>[^\s\"',{}]+)\s*[,}]")
_ESCAPED = re.compile(r"\\[\"']\s*[:=]\s*\\[\"'](?P<v>[^\"'\\]+)\\[\"']")
_INSIDE = re.compile(r"\s?=\s?(?P<v>[^;\"'`&\s,{}()<>]+)(?=[;\"'`&\s]|$)")
_DEFAULT = re.compile(r":[-=?]?(?P<v>[^}${]+)\}")
_OPTION = re.compile(r"(?:=|\s+(?:<<<\s*)?(?![a-z]+\s+[a-z]))(?P<q>[\"']?)(?P<v>[^\s\"'`]+)(?P=q)")
_DEFINES = re.compile(r"^\s*#\s*define\s+$|:$")
_COMMENTED = re.compile(r"^\s*(?:#|//|\*|--|;|<!--)")
_SPACED = re.compile(r"\s+(?:\d\s+)?(?P<q>[\"']?)(?P<v>[^\s\"']+)(?P=q);?\s*$")
# `storePassword "x"` alone on its line, `X-Key: x"` at the end of a string.
_ALONE = re.compile(r"\s+(?P<q>[\"'])(?P<v>[^\"'\s]+)(?P=q);?(?=[\s})]|$)")
_LOOSE = re.compile(r"\s+[\"']?(?P<v>(?=[^\s\"']*\d)[\w+/.=-]{16,})(?=[\s\"';]|$)")
_TWO = re.compile(r"\s+(?P<v>[^\s\"'`]+);?\s*$")
_STATED = re.compile(r":\s*(?:Bearer |Basic |Token )?(?P<v>[^\s\"'`]{8,})(?=[\"'`])")
_BARE = re.compile(r"[\"']?\s*(?P<op>[+?]?=|:=?)\s*(?P<v>[^\s\"'`][^\n]*)$")
_SQL = re.compile(r"\s*(?:=|\bAS\b)?\s*N?'(?P<v>(?:[^'\\]|''|\\.)+)'", re.IGNORECASE)
_SQL_WORDS = re.compile(
    r"\b(?:with|encrypted|role|user|login|alter|create|set|identified|subscription)\b",
    re.IGNORECASE,
)
_SETTERS = re.compile(
    r"(?:define|putenv|setenv|setx|\w*[sS]et\w*|\w*[pP]ut|[aA]dd|[aA]ppend\w*|\w*[hH]eader|environ\w*|getenv|"
    r"get|[gG]et\w*|fetch|env|Env|config|option|insert|field|with\w*|const_set|default\w*|String)\s*\(\s*[\"'`]$"
)
_SPACERS = re.compile(
    r"^\s*(?:ENV|ARG|SetEnv|set|setx|fastcgi_param|proxy_set_header|enable|username\s.*|snmp-server|neighbor\s.*|"
    r"(?:machine|default|host)\b.*(?:login|user)\s+\S+|(?:login|user)\s+\S+)\s+[\w$.-]*$"
)
_SPACED_NAMES = frozenset({
    "requirepass", "masterauth", "masterpass",
})  # fmt: skip
_SCHEME = re.compile(r"^(?:Basic|Bearer|Token|token|ApiKey|Digest|Negotiate)\s+")
_PARAMETER_END = re.compile(r"[&;,#\s\"'`]")
_COMMENT = re.compile(r"\s+(?:#|//|;|--).*$")


def named_values(line: str, found: Sequence[NameSpan], config: bool) -> Iterator[Span]:
    """Spans of values on a line that are assigned to the name of a secret.

    :param found: the line's :func:`.names.secret_names`.
    :param config: whether values may be unquoted, as in configuration and shells.
    """
    done = 0
    for start, end, strong in found:
        if start < done:
            continue
        for a, b in _values(line, start, end, strong=strong, config=config):
            if a < b:
                done = max(done, b)
                yield a, b, PASSWORD if strong else TOKEN


def _values(
    line: str, start: int, end: int, *, strong: bool, config: bool
) -> Iterator[tuple[int, int]]:
    """Spans of the values assigned to the name at ``[start, end)``."""
    name = line[start:end]
    if strong and _LISTED.match(line, end - 1):
        for item in _ITEM.finditer(line, end):
            if _is_sure(item["v"], name):
                yield item.span("v")
        return
    fits: Callable[[str, str], bool] = may_be_password if strong else may_be_token
    for pattern, judge in (
        (_VALUED, fits), (_GIVEN, fits), (_COMPARED, _is_sure), (_CALLED, _is_sure),
        (_ELEMENT, fits), (_ESCAPED, fits),
    ):  # fmt: skip
        found = pattern.match(line, end)
        if found:
            a, b = _without_scheme(found)
            if pattern is _CALLED and strong and _SETTER.search(name):
                judge = may_be_password
            if judge(line[a:b], name):
                yield a, b
            if pattern in (_GIVEN, _COMPARED):
                return
    found = _PAIRED.match(line, end)
    if found:
        a, b = _without_scheme(found)
        sets = _SETTERS.search(line, max(0, start - 60), start)
        is_value = line[:start].rstrip("\"'`").rstrip().endswith(("=", ":"))
        if (sets or name[0] == "-" or (strong and not is_value)) and (fits if sets else _is_sure)(
            line[a:b], name
        ):
            yield a, b
        return
    yield from _unquoted(line, start, end, strong=strong, config=config)


def _unquoted(
    line: str, start: int, end: int, *, strong: bool, config: bool
) -> Iterator[tuple[int, int]]:
    """The same for values without quotes of their own."""
    name, before = line[start:end], line[:start]
    for pattern, fits in (
        (_DEFAULT, before.endswith("{") and "$" in before[-2:]),
        (_OPTION, name.startswith("-")),
        (_SQL, bool(_SQL_WORDS.search(before))),
        (_SPACED, config and (name in _SPACED_NAMES or bool(_SPACERS.search(before)))),
        (_ALONE, not before.strip() or bool(_DEFINES.search(before))),
        (_STATED, _in_text(before) and not name.lower().endswith("pass")),
        (_FLOW, config),
        (_TWO, config and not before.strip()),
        (_LOOSE, config),
        (_INSIDE, _in_text(before) or _is_parameter(line, start, end)),
    ):
        found = pattern.match(line, end) if fits else None
        if found:
            a, b = found.span("v")
            if pattern in (_SQL, _ALONE):
                good = may_be_password(line[a:b], name)
            elif pattern in (_STATED, _TWO, _LOOSE):
                good = may_be_token(line[a:b], name)
            else:
                good = may_be_unquoted_secret(line[a:b], name, strong=strong)
            if good:
                yield a, b
                return
    commented = bool(_COMMENTED.match(before))
    found = _BARE.match(line, end) if config or commented else None
    if found and commented:
        a, b = found.span("v")
        if _is_sure(line[a:b].rstrip(), name):
            yield a, b
    elif found:
        yield from _bare(line, start, end, found, strong=strong)


def _bare(
    line: str, start: int, end: int, found: re.Match[str], *, strong: bool
) -> Iterator[tuple[int, int]]:
    """A value to the end of a line of configuration, or to the next word of a command."""
    a, b = found.span("v")
    value = _COMMENT.sub("", line[a:b]).rstrip()
    before = line[:start].strip(" \t\"'-{,")
    if found["op"].endswith("=") and (not before or before.split()[-1] in ("export", "set", "ENV", "env", "local", "readonly", "ARG", "-e", "--env")):  # fmt: skip
        word = value.split()[0] if line[end : end + 1] == "=" else value
        # An upper-case name is an environment variable, whose value is not prose.
        if may_be_unquoted_secret(
            word, line[start:end], strong=strong or _is_setting(line[start:end], word)
        ):
            yield a, a + len(word.rstrip(",;"))
    elif before[-1:] in ("/", ":", "?", "&", ";") and found["op"] == "=":
        value = _PARAMETER_END.split(value, maxsplit=1)[0]
        if _is_sure(value, line[start:end]):
            yield a, a + len(value)
    elif " " not in value and not before.endswith(("=", ":")):
        telling = strong and (not value.isalpha() or not before)
        if may_be_unquoted_secret(value, line[start:end], strong=telling):
            yield a, a + len(value.rstrip(",;"))


def _is_setting(name: str, value: str) -> bool:
    return name.isupper() and not (is_made_of_words(value) and value.islower() and len(value) < 8)


def _is_sure(value: str, name: str) -> bool:
    """A stricter check for places that often hold other things: field names, comparisons."""
    return may_be_password(value, name) and not is_made_of_words(value) and " " not in value


def _without_scheme(found: re.Match[str]) -> tuple[int, int]:
    """The span of the value, without an authentication scheme or nested quotes."""
    start, end = found.span("v")
    if found["v"][:2] == found["v"][-2:] == '\\"':
        return start + 2, max(start + 2, end - 2)
    scheme = _SCHEME.match(found["v"])
    return (start + scheme.end() if scheme else start), end


def _in_text(before: str) -> bool:
    """Whether ``before`` ends inside quotes."""
    return any(before.count(quote) % 2 for quote in "\"'`")


def _is_parameter(line: str, start: int, end: int) -> bool:
    """Whether the name belongs to the ``name=value`` pairs of a URL or a connection string."""
    if line[start - 1 : start] in ("?", "&", ";") and line[end : end + 1] == "=":
        return True
    return ";" in line[end:] and line.count("=", 0, start) > 0 and ";" in line[:start]
