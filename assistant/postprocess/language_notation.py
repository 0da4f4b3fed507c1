"""How languages write comments, strings and tags. Pure: data for lexer.py."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import NamedTuple

from git_copilot.index.text.classify import language_of

# Tags of HTML that have no end, those whose end may be left out, and those with another language
# inside.
VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
)
OPTIONAL = frozenset(
    (
        "p",
        "li",
        "td",
        "tr",
        "th",
        "dt",
        "dd",
        "option",
        "tbody",
        "thead",
        "tfoot",
        "html",
        "head",
        "body",
    )
)
RAW = frozenset({"script", "style"})


class Quote(NamedTuple):
    """How a string goes on: over lines, with escapes by backslash or by doubling, with code inside."""

    closer: str
    lines: bool = False
    escapes: bool = True
    inside: str = ""
    opener: str = ""  # where it is not the closer


@dataclass(frozen=True, slots=True)
class Family:
    """Languages that are read alike.

    ``quotes`` are in order of length; ``skip`` matches what would be misread; in ``prose`` a
    closing bracket needs no opening one.
    """

    comments: tuple[str, ...] = ()
    blocks: tuple[tuple[str, str], ...] = ()
    quotes: tuple[Quote, ...] = ()
    skip: str = ""
    prose: bool = False
    prefixed: bool = False
    markup: str = ""  # "html", "xml" or "jsx"


_C_QUOTES = (Quote('"'), Quote("'"))
_BLOCK = (("/*", "*/"),)
_REGEX = r"(?<=[(,=:\[!&|?{};\n])[ \t]*/(?![*/])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/"
_CHAR = r"'(?:\\[^\n]{1,9}?|[^\\'\n])'"
_JS_QUOTES = (Quote('"'), Quote("'"), Quote("`", lines=True, inside="${"))
_TRIPLE = (Quote('"""', lines=True), Quote("'''", lines=True))
FAMILIES = {
    "c": Family(("//",), _BLOCK, _C_QUOTES, rf"{_CHAR}|(?<=\d)'(?=\d)"),
    "go": Family(
        ("//",), _BLOCK, (Quote('"'), Quote("`", lines=True, escapes=False), Quote("'")), _CHAR
    ),
    "rust": Family(
        ("//",), _BLOCK,
        (Quote('"##', True, False, opener='r##"'), Quote('"#', True, False, opener='r#"'),
         Quote('"', True, False, opener='r"'), Quote('"', lines=True)),
        rf"{_CHAR}|'\w+\b",
    ),
    "java": Family(("//",), _BLOCK, (Quote('"""', lines=True), *_C_QUOTES), _CHAR),
    "kotlin": Family(
        ("//",), _BLOCK,
        (Quote('"""', lines=True, inside="${"), Quote('"', inside="${"), Quote("'")), _CHAR,
    ),
    "swift": Family(
        ("//",), _BLOCK, (Quote('"""', lines=True, inside="\\("), Quote('"', inside="\\("))
    ),
    "js": Family(("//",), _BLOCK, _JS_QUOTES, _REGEX),
    "jsx": Family(("//",), _BLOCK, _JS_QUOTES, _REGEX, markup="jsx"),
    "php": Family(
        ("//", "#"), _BLOCK, (Quote('"', lines=True, inside="{$"), Quote("'", lines=True)), r"#\["
    ),
    "css": Family((), _BLOCK, _C_QUOTES),
    "scss": Family(("//",), _BLOCK, _C_QUOTES, r"://"),
    "python": Family(("#",), (), (*_TRIPLE, *_C_QUOTES), prefixed=True),
    "ruby": Family(
        ("#",), (), (Quote('"', lines=True, inside="#{"), Quote("'", lines=True)), r"\$[\"']|\?[\"']"
    ),
    "shell": Family(
        ("#",), (),
        (Quote('"', lines=True, inside="$("), Quote("'", lines=True, escapes=False)),
        r"\\.|\$#|\$\{#|(?<=\S)#|(?<=\w)'(?=\w)", prose=True,
    ),
    "hash": Family(("#",), (), _C_QUOTES, r"\\.|(?<=\w)'(?=\w)"),
    "toml": Family(("#",), (), (*_TRIPLE, Quote('"'), Quote("'", escapes=False))),
    "yaml": Family(
        ("#",), (), (Quote('"', lines=True), Quote("'", lines=True, escapes=False)),
        r"(?<=\S)#|(?<=[^\s\[{,(:\-])[\"']|(?<=\w) [\"']", prose=True,
    ),
    "json": Family(("//",), _BLOCK, (Quote('"'),)),
    "sql": Family(
        ("--",), _BLOCK, (Quote("'", lines=True, escapes=False), Quote('"', escapes=False))
    ),
    "lua": Family(("--",), (("--[[", "]]"), ("[[", "]]")), _C_QUOTES),
    "haskell": Family(
        ("--",), (("{-", "-}"),), (Quote('"'),), rf"{_CHAR}|(?<=\w)'"
    ),
    "ml": Family((), (("(*", "*)"),), (Quote('"', lines=True),), rf"{_CHAR}|'"),
    "erlang": Family(("%",), (), _C_QUOTES, r"\$."),
    "html": Family(blocks=(("<!--", "-->"),), prose=True, markup="html"),
    "xml": Family(
        blocks=(("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")), prose=True, markup="xml"
    ),
    "text": Family(prose=True),
}  # fmt: skip
_BY_LANGUAGE = {
    "bash": "shell", "c": "c", "cpp": "c", "csharp": "java", "css": "css", "dart": "kotlin",
    "elixir": "ruby", "elm": "haskell", "erlang": "erlang", "go": "go", "haskell": "haskell",
    "html": "html", "java": "java", "javascript": "jsx", "julia": "hash", "kotlin": "kotlin",
    "lua": "lua", "ocaml": "ml", "ocaml_interface": "ml", "php": "php", "perl": "hash",
    "python": "python", "r": "hash", "ruby": "ruby", "rust": "rust", "scala": "kotlin",
    "sql": "sql", "swift": "swift", "typescript": "js", "tsx": "jsx", "vue": "html", "zig": "c",
    "make": "shell", "dockerfile": "shell",
}  # fmt: skip
_BY_EXTENSION = {
    "json": "json", "jsonc": "json", "json5": "json", "yml": "yaml", "yaml": "yaml",
    "toml": "toml", "ini": "hash", "cfg": "hash", "conf": "hash", "env": "shell", "xml": "xml",
    "svg": "xml", "xhtml": "xml", "htm": "html", "svelte": "html", "scss": "scss",
    "less": "scss", "proto": "c", "graphql": "hash", "tf": "hash", "hcl": "hash",
    "gradle": "kotlin", "groovy": "kotlin", "mk": "shell", "nix": "hash", "cmake": "shell",
}  # fmt: skip


def family_of(path: str) -> Family:
    """How a file is read; a name that says nothing is prose."""
    language = language_of(path)
    if language in _BY_LANGUAGE:
        return FAMILIES[_BY_LANGUAGE[language]]
    return FAMILIES[_BY_EXTENSION.get(posixpath.basename(path).lower().rpartition(".")[2], "text")]
