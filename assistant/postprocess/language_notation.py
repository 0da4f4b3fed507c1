"""Notation of comments, strings and tags by language. Pure: data for lexer.py."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import NamedTuple

from git_copilot.index.text.classify import language_of

# HTML tags without an end tag, those with an optional one, and those with another language inside.
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
    """A kind of string: over several lines, with backslash escapes, with code in it."""

    closer: str
    lines: bool = False
    escapes: bool = True
    inside: str = ""
    opener: str = ""  # if it is not the closer


@dataclass(frozen=True, slots=True)
class Notation:
    """The notation of a group of languages.

    ``quotes`` are in order of length; ``skip`` matches text that would be misread; in ``prose`` a
    closing bracket needs no opening one; ``prefixed`` strings may have letters before the quote.
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
_REGEX = r"(?<=[(,=:\[!&|?{};\n])[ \t]*/(?![*/])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.){0,500}\])+/"
_CHAR = r"'(?:\\[^\n]{1,9}?|[^\\'\n])'"
_JS_QUOTES = (Quote('"'), Quote("'"), Quote("`", lines=True, inside="${"))
_TRIPLE = (Quote('"""', lines=True), Quote("'''", lines=True))
NOTATIONS = {
    "c": Notation(("//",), _BLOCK, _C_QUOTES, rf"{_CHAR}|(?<=\d)'(?=\d)"),
    "go": Notation(
        ("//",), _BLOCK, (Quote('"'), Quote("`", lines=True, escapes=False), Quote("'")), _CHAR
    ),
    "rust": Notation(
        ("//",), _BLOCK,
        (Quote('"##', True, False, opener='r##"'), Quote('"#', True, False, opener='r#"'),
         Quote('"', True, False, opener='r"'), Quote('"', lines=True)),
        rf"{_CHAR}|'\w+\b",
    ),
    "java": Notation(("//",), _BLOCK, (Quote('"""', lines=True), *_C_QUOTES), _CHAR),
    "kotlin": Notation(
        ("//",), _BLOCK,
        (Quote('"""', lines=True, inside="${"), Quote('"', inside="${"), Quote("'")), _CHAR,
    ),
    "swift": Notation(
        ("//",), _BLOCK, (Quote('"""', lines=True, inside="\\("), Quote('"', inside="\\("))
    ),
    "js": Notation(("//",), _BLOCK, _JS_QUOTES, _REGEX),
    "jsx": Notation(("//",), _BLOCK, _JS_QUOTES, _REGEX, markup="jsx"),
    "php": Notation(
        ("//", "#"), _BLOCK, (Quote('"', lines=True, inside="{$"), Quote("'", lines=True)), r"#\["
    ),
    "css": Notation((), _BLOCK, _C_QUOTES),
    "scss": Notation(("//",), _BLOCK, _C_QUOTES, r"://"),
    "python": Notation(("#",), (), (*_TRIPLE, *_C_QUOTES), prefixed=True),
    "ruby": Notation(
        ("#",), (), (Quote('"', lines=True, inside="#{"), Quote("'", lines=True)), r"\$[\"']|\?[\"']"
    ),
    "shell": Notation(
        ("#",), (),
        (Quote('"', lines=True, inside="$("), Quote("'", lines=True, escapes=False)),
        r"\\.|\$#|\$\{#|(?<=\S)#|(?<=\w)'(?=\w)", prose=True,
    ),
    "hash": Notation(("#",), (), _C_QUOTES, r"\\.|(?<=\w)'(?=\w)"),
    "toml": Notation(("#",), (), (*_TRIPLE, Quote('"'), Quote("'", escapes=False))),
    "yaml": Notation(
        ("#",), (), (Quote('"', lines=True), Quote("'", lines=True, escapes=False)),
        r"(?<=\S)#|(?<=[^\s\[{,(:\-])[\"']|(?<=\w) [\"']", prose=True,
    ),
    "json": Notation(("//",), _BLOCK, (Quote('"'),)),
    "sql": Notation(
        ("--",), _BLOCK, (Quote("'", lines=True, escapes=False), Quote('"', escapes=False))
    ),
    "lua": Notation(("--",), (("--[[", "]]"), ("[[", "]]")), _C_QUOTES),
    "haskell": Notation(
        ("--",), (("{-", "-}"),), (Quote('"'),), rf"{_CHAR}|(?<=\w)'"
    ),
    "ml": Notation((), (("(*", "*)"),), (Quote('"', lines=True),), rf"{_CHAR}|'"),
    "erlang": Notation(("%",), (), _C_QUOTES, r"\$."),
    "html": Notation(blocks=(("<!--", "-->"),), prose=True, markup="html"),
    "xml": Notation(
        blocks=(("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")), prose=True, markup="xml"
    ),
    "text": Notation(prose=True),
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


def notation_of(path: str) -> Notation:
    """The notation of a file's language; that of prose if its name is unknown."""
    language = language_of(path)
    if language in _BY_LANGUAGE:
        return NOTATIONS[_BY_LANGUAGE[language]]
    return NOTATIONS[_BY_EXTENSION.get(posixpath.basename(path).lower().rpartition(".")[2], "text")]
