"""User-visible text is plain technical English."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Extend this list when a folder or a document is clean.
PLACES = ("index", "hooks", "assistant", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs")
# Archaic or private phrases, with what to write instead.
WORDS = {
    r"\banew\b": "again, or a verb with re-",
    r"\bmend(s|ed|ing)?\b": "fix, correct, resolve",
    r"\bso (many|much|long)\b": "a number of, at most",
    r"\bnames no\b": "unknown, is not",
    r"\bis no (commit|file|folder|python|regular|setting)\b": "is not a",
    r"\bwent well\b": "succeeded",
    r"\bis gone\b": "is missing, was deleted",
    r"\b(does|did|do) not know\b": "unknown",
}
# In messages of the program alone; documents may speak of "our" reasons.
MESSAGE_WORDS = {
    r"\bcatch(es)? up\b": "update",
    r"\b(leads?|belongs?) to us\b|\bours?\b": "git-copilot",
    r"\b(takes?|taken|took) (\w+ )?in( again)?\b": "include, accept, index",
}
SUFFIXES = (".py", ".md", ".1")


def sentences(path: Path) -> list[tuple[int, str]]:
    """The text of a file that users may see: of a module its string literals of several words
    without the docstrings, of a document all lines."""
    source = path.read_text("utf-8")
    if path.suffix != ".py":
        return list(enumerate(source.splitlines(), 1))
    tree = ast.parse(source)
    bare = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in bare
        and re.search(r"[a-z] |[a-z,;:] [a-z]", node.value)
    ]


def bad_phrases(path: Path) -> list[str]:
    words = {**WORDS, **MESSAGE_WORDS} if path.suffix == ".py" else WORDS
    return [
        f"{path.name}:{line}: {found[0]!r}: write {better}"
        for line, text in sentences(path)
        for pattern, better in words.items()
        if (found := re.search(pattern, text, re.IGNORECASE))
    ]


def files() -> list[Path]:
    places = [ROOT / place for place in PLACES]
    found = [p for place in places for p in ([place] if place.is_file() else place.rglob("*"))]
    return sorted(
        p
        for p in found
        if p.suffix in SUFFIXES and not {"seed_embedder", "seed_adapter"} & set(p.parts)
    )


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_user_visible_text_has_no_archaic_phrases(path):
    assert bad_phrases(path) == []


def test_an_archaic_phrase_is_noticed_in_messages_but_not_in_docstrings(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        '"""Made anew."""\n\ndef f(name):\n    """So many."""\n'
        '    raise ValueError(f"{name} names no commit here", "make it anew")\n'
    )
    assert [line.partition(": write")[0] for line in bad_phrases(module)] == [
        "module.py:5: 'anew'",
        "module.py:5: 'names no'",
    ]
    page = tmp_path / "page.1"
    page.write_text("Answers\nwith so many candidates.\n")
    assert len(bad_phrases(page)) == 1
