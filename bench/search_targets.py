"""What bench/search.py looks for: definitions, read without our own index, and nonsense."""

from __future__ import annotations

import ast
import random
import re
import subprocess
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from git_copilot.index.git.repository import GitRepository
from git_copilot.index.text.classify import language_of

# A first sentence of fewer words says too little to be looked for.
MIN_WORDS = 4
_FIRST_SENTENCE = re.compile(r"(?s)^(.+?)(?:[.:!?](?:\s|$)|\n\s*\n|$)")
_PATTERNS = {
    "go": [
        ("function", r"^func (?:\([^)]*\) )?(\w+)\("),
        ("type", r"^type (\w+) "),
        ("value", r"^(?:const|var) (\w+) "),
    ],
    "rust": [
        ("function", r"^ *(?:pub(?:\([^)]*\))? )?(?:const )?(?:async )?(?:unsafe )?fn (\w+)"),
        ("type", r"^ *(?:pub(?:\([^)]*\))? )?(?:struct|enum|trait|union) (\w+)"),
        ("alias", r"^(?:pub(?:\([^)]*\))? )?type (\w+)"),
        ("value", r"^ *(?:pub(?:\([^)]*\))? )?(?:const|static) (\w+):"),
    ],
    "typescript": [
        ("function", r"^(?:export )?(?:default )?(?:async )?function\*? (\w+)"),
        ("type", r"^(?:export )?(?:abstract )?(?:class|interface|enum) (\w+)"),
        ("alias", r"^(?:export )?type (\w+)"),
        ("value", r"^(?:export )?(?:const|let|var) (\w+)"),
    ],
}
_PATTERNS["tsx"] = _PATTERNS["javascript"] = _PATTERNS["typescript"]
_COMMENTS = {"go": "//", "rust": "///"}
# Words that no program has, and English ones that few programs have.
_SYLLABLES = ["zor", "blex", "quim", "fna", "drul", "vosk", "yib", "krep", "thwo", "jux", "gnarf"]
_ODD = ["giraffe", "yoghurt", "volcano", "trombone", "saffron", "penguin", "glacier", "mustard",
        "oboe", "walrus", "cathedral", "eggplant", "lullaby", "marzipan", "archipelago"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A definition: what is typed for it, and the line (1-based) that must be shown."""

    query: str
    kind: str
    path: str
    line: int


def definitions(path: str, text: str) -> Iterator[Target]:
    """The named things of a file, by syntax tree (Python) or by how lines begin."""
    language = language_of(path)
    if language == "python":
        try:
            yield from _python(path, ast.parse(text))
        except (SyntaxError, ValueError):
            return
        return
    for kind, pattern in _PATTERNS.get(language, ()):
        for match in re.finditer(pattern, text, re.MULTILINE):
            yield Target(match[1], kind, path, text.count("\n", 0, match.start(1)) + 1)


def _python(path: str, module: ast.Module) -> Iterator[Target]:
    pending: list[ast.stmt] = list(module.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.ClassDef):
            yield Target(node.name, "type", path, node.lineno)
            pending += node.body
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Target(node.name, "function", path, node.lineno)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node in module.body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    alias = _is_alias(node)
                    yield Target(target.id, "alias" if alias else "value", path, node.lineno)


def _is_alias(node: ast.Assign | ast.AnnAssign) -> bool:
    """Whether an assignment names a type: ``X = Union[…]``, ``X: TypeAlias = …``."""
    if isinstance(node, ast.AnnAssign):
        return "TypeAlias" in ast.unparse(node.annotation)
    return isinstance(node.value, ast.Subscript) and isinstance(
        node.value.value, ast.Name | ast.Attribute
    )


def unique(found: Iterable[Target]) -> list[Target]:
    """Those whose name is defined once in the repository."""
    listed = list(found)
    often = Counter(target.query for target in listed)
    return [
        t
        for t in listed
        if often[t.query] == 1 and not t.query.startswith("__") and len(t.query) > 1
    ]


def documented(path: str, text: str) -> Iterator[Target]:
    """Definitions by the first sentence of what is written about them."""
    language = language_of(path)
    if language == "python":
        try:
            nodes = list(ast.walk(ast.parse(text)))
        except (SyntaxError, ValueError):
            return
        for node in nodes:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _sentence(ast.get_docstring(node) or "", path, node.lineno)
    elif language in _COMMENTS:
        lines, mark = text.split("\n"), _COMMENTS[language]
        said: list[str] = []
        for number, line in enumerate(lines, 1):
            if line.strip().startswith(mark):
                said.append(line.strip().removeprefix(mark))
                continue
            if said and re.match(r" *(?:pub |func |type |fn |struct |enum |trait )", line):
                yield from _sentence("\n".join(said), path, number)
            said = []


def _sentence(doc: str, path: str, line: int) -> Iterator[Target]:
    match = _FIRST_SENTENCE.match(doc.strip())
    sentence = " ".join(match[1].split()) if match else ""
    if MIN_WORDS <= len(sentence.split()) <= 25:
        yield Target(sentence, "described", path, line)


def nonsense(count: int, chance: random.Random, known: Collection[str]) -> list[str]:
    """Queries that a repository with the words ``known`` does not answer: made-up words, and
    English ones from elsewhere."""
    made = [
        " ".join("".join(chance.choices(_SYLLABLES, k=3)) for _ in range(chance.randint(1, 3)))
        for _ in range(count // 2)
    ]
    odd = [word for word in _ODD if word not in known]
    more = [" ".join(chance.sample(odd, chance.randint(1, 3))) for _ in range(count - count // 2)]
    return made + more


def without_docstrings(text: str) -> str:
    """A Python file with ``...`` for every docstring, on as many lines as before."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return text
    lines = text.split("\n")
    for node in nodes:
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if ast.get_docstring(node) and isinstance(first, ast.Expr) and first.end_lineno:
            indent = lines[first.lineno - 1][: first.col_offset]
            if indent.strip():  # on the header's line
                continue
            lines[first.lineno - 1 : first.end_lineno] = [
                f"{indent}...", *[""] * (first.end_lineno - first.lineno)
            ]  # fmt: skip
    return "\n".join(lines)


def lay_out_undocumented(repo: GitRepository, folder: Path) -> GitRepository:
    """A repository in ``folder`` with HEAD's files, docstrings taken out of those in Python."""
    run = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.org", "-C", str(folder)]
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    entries = [e for e in repo.ls_tree("HEAD") if e.mode in ("100644", "100755")]
    for entry, (_, data) in zip(entries, repo.blobs(e.oid for e in entries), strict=True):
        target = folder / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if language_of(entry.path) == "python":
            data = without_docstrings(data.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        target.write_bytes(data)
    subprocess.run([*run, "add", "-A", "-f"], check=True)
    subprocess.run([*run, "commit", "-q", "--no-verify", "-m", "undocumented"], check=True)
    return GitRepository.discover(folder)
