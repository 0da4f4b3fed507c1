"""Constants, aliases and macros are found by name, and do not change completion."""

from __future__ import annotations

import pytest

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.overlay import Overlay, chunk_uncommitted
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.chunking import chunk_blob
from git_copilot.index.text.named_values import LANGUAGES, VALUE_KINDS
from tests.support.fakes import HashingEmbedder

# Of each language: a text, and the names that it gives besides functions and classes.
TEXTS = {
    "python": (
        "LIMIT: int = 3\nNAMES, PLACES = load()\nif LIMIT:\n    Extra = 2\nclass Box:\n    side = 3\n"
        "    def area(self):\n        local = 1\n        return local\ntype Row = int\n",
        {"LIMIT", "NAMES", "PLACES", "Extra", "side", "Row"},
    ),
    "javascript": (
        "const LIMIT = 1\nexport let place = 2\nclass Box { side = 1 }\nmodule.exports.go = () => 1\n"
        "function f() { const local = 1 }\n",
        {"LIMIT", "place", "side", "go"},
    ),
    "typescript": ("export const make = () => 1\nvar old = 1\n", {"make", "old"}),
    "tsx": ("export const Page = () => <p/>\n", {"Page"}),
    "java": (
        "class Box { static final int SIDE = 1; int f() { int local = 1; return local; } }\n"
        "enum Kind { FIRST, SECOND }\n",
        {"SIDE", "FIRST", "SECOND"},
    ),
    "csharp": (
        "class Box { const int Side = 1; }\nenum Kind { First }\n", {"Side"},
    ),
    "c": (
        "#define LIMIT 3\n#define TWICE(x) ((x) * 2)\ntypedef struct box { int side; } box_t;\n"
        "static int *table = 0;\nint sizes[2] = {1, 2};\nenum kind { FIRST };\n"
        "int f(void) { int local = 1; return local; }\n",
        {"LIMIT", "TWICE", "box", "box_t", "table", "sizes", "kind", "FIRST"},
    ),
    "cpp": ("class Box { int side; };\n#define LIMIT 3\n", {"Box", "LIMIT"}),
    "go": (
        "package p\nvar first, second = 1, 2\nconst (\n\tLow, High = 1, 2\n)\ntype Text = string\n",
        {"second", "High", "Text"},
    ),
    "ruby": (
        "LIMIT = 1\nmodule Boxes\n  class Box\n    SIDE = 2\n    def area; end\n  end\nend\n",
        {"LIMIT", "Boxes", "Box", "SIDE", "area"},
    ),
    "php": ("<?php\nconst LIMIT = 1;\nclass Box { public $side = 1; }\n", {"LIMIT", "side"}),
    "kotlin": ("val limit = 1\nobject Box { const val SIDE = 2 }\n", {"limit", "SIDE"}),
    "scala": ("object Box { val Side = 1 }\n", {"Side"}),
    "lua": ("local limit = 1\nplace = 2\n", {"limit", "place"}),
    "bash": ("LIMIT=1\nexport PLACE=2\n", {"LIMIT", "PLACE"}),
    "make": ("LIMIT := 1\n", {"LIMIT"}),
    "dart": ("const limit = 1;\n", {"limit"}),
    "zig": ("const limit = 1;\n", {"limit"}),
    "julia": ("const LIMIT = 1\n", {"LIMIT"}),
}  # fmt: skip


def symbols(text, language, hidden=frozenset()):
    return [s for c in chunk_blob(text.encode(), language, hidden) for s in c.symbols]


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_constants_are_found_in_each_language(language):
    text, names = TEXTS[language]
    found = symbols(text, language)
    assert {s.name for s in found if s.kind in VALUE_KINDS} == names
    lines = text.split("\n")
    for symbol in found:
        assert symbol.name in lines[symbol.line - 1]
        assert symbol.kind not in VALUE_KINDS or symbol.name in symbol.signature


def test_a_value_has_a_scope_and_is_hidden_with_its_line():
    text = "class Outer:\n    class Inner:\n        LIMIT = 3\n    PLACE = 'x'\n"
    scopes = {s.name: s.scope for s in symbols(text, "python") if s.kind in VALUE_KINDS}
    assert scopes == {"LIMIT": "Outer.Inner", "PLACE": "Outer"}
    assert "PLACE" not in {s.name for s in symbols(text, "python", frozenset({4}))}


def test_values_do_not_determine_the_kind_of_a_chunk():
    (chunk,) = chunk_blob(b"LIMIT = 1\n\n\ndef area():\n    return LIMIT\n", "python")
    assert (chunk.kind, chunk.name) == ("function", "area")
    assert [s.name for s in chunk.symbols] == ["area", "LIMIT"]
    (chunk,) = chunk_blob(b"LIMIT = 1\nPLACE = 2\n", "python")
    assert (chunk.kind, chunk.name) == ("block", "")


def test_values_do_not_affect_completion_ranking(repo, tmp_path):
    files = {f"{language}/a.{suffix}": text for language, suffix, text in _texts()}
    repo.commit(files)
    embedder = HashingEmbedder()
    names = sorted({name for _, names in TEXTS.values() for name in names})
    overlay = Overlay(
        {"python/new.py": chunk_uncommitted("python/new.py", TEXTS["python"][0].encode())}
    )
    with Database(tmp_path / DATABASE_NAME, create=True) as db:
        sync(GitRepository.discover(repo.path), db, embedder)
        queries = [
            Query(f"{name} area", names=(*names, "area", "f"), partial=name[:3])
            for i, name in enumerate(names)
        ]
        finder = Searcher(db, "", None)
        before = [finder.find(q, embedder, o) for q in queries for o in (Overlay(), overlay)]
        marks = ",".join("?" * len(VALUE_KINDS))
        assert db.scalar(f"SELECT count(*) FROM symbols WHERE kind IN ({marks})", VALUE_KINDS) > 30
        with db.transaction() as connection:
            connection.execute(f"DELETE FROM symbols WHERE kind IN ({marks})", VALUE_KINDS)
        after = [finder.find(q, embedder, o) for q in queries for o in (Overlay(), overlay)]
    assert after == before
    assert any(each["definition"] for each in before)


def _texts():
    suffixes = {
        "python": "py", "javascript": "js", "typescript": "ts", "tsx": "tsx", "java": "java",
        "c": "c", "cpp": "cpp", "go": "go", "ruby": "rb", "csharp": "cs",
    }  # fmt: skip
    return [(language, suffix, TEXTS[language][0]) for language, suffix in suffixes.items()]
