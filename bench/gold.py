"""What a hole needs from other files: the gold of bench/retrieval.py.

A hole *needs* a name when

1. the name is an identifier of the hole's middle, as the language's grammar says (no comments, no
   strings; a name that the hole cuts in two counts whole), of at least three letters and no
   keyword;
2. the file at the cursor does not define it, nor does Python for Python, and it stands neither in the last
   :data:`VISIBLE_BEFORE` lines before the hole nor in the first :data:`VISIBLE_AFTER` behind it: a
   model that sees those lines has it already;
3. other files of the parent commit's tree, in the same family of languages, have it, and it means
   one thing there: it is defined in at most :data:`MAX_DEFINED` chunks and used in at most
   :data:`MAX_USED`; or no chunk defines it (an attribute, a keyword argument, a constant), it is
   made of more than one word, and it is used in at most :data:`MAX_UNDEFINED`. Single words that
   nothing defines (`disabled`, `src`) come from outside the repository or mean several things.

The *gold* of a name are the chunks of other files that define it and those that use it. A name is
*met* by a list of snippets when one of its gold chunks is among them; it is *defined* when one
that defines it is. A hole without a needed name is no cross-file hole and is left out.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass

from git_copilot.assistant.dataset.cuts import Cut
from git_copilot.index.core.types import Hit
from git_copilot.index.search.chunk_table import family
from git_copilot.index.store.database import Database
from git_copilot.index.store.database_files import decode_path
from git_copilot.index.text.classify import TEXT
from git_copilot.index.text.named_values import NO_VALUES
from git_copilot.index.text.parsing import parse
from git_copilot.index.text.terms import IDENTIFIER, STOP_WORDS, split_identifier

# What the default budget (320 tokens before the cursor beside full context, 192 behind it) shows
# of code with ten tokens a line.
VISIBLE_BEFORE, VISIBLE_AFTER = 30, 15
# Three definitions: a class, its stub and its test double are one thing; `get` is not.
MAX_DEFINED, MAX_USED, MAX_UNDEFINED = 3, 40, 10
MIN_NAME = 3
# How many snippets are looked at.
COUNTS = (5, 10)
# The grammar sees this much around the hole: enough for its own definition and those beside it.
PARSED_BEFORE, PARSED_AFTER = 20_000, 5_000
# Good enough in any language to tell what the file itself defines.
_DEFINED_HERE = re.compile(
    r"\b(?:def|class|function|func(?:\s*\([^)]*\))?|fn|struct|enum|trait|interface|type|let|var"
    r"|const|#define)\s+([^\W\d]\w*)"
)
_BUILTIN = frozenset(dir(builtins))
_LEAVES = ("constant", "name", "word")


@dataclass(frozen=True, slots=True)
class Need:
    """A name that a hole needs, with the ids of the chunks of other files that define and use
    it."""

    name: str
    defined: frozenset[int]
    used: frozenset[int]

    @property
    def gold(self) -> frozenset[int]:
        return self.defined | self.used


def wanted_names(cut: Cut) -> list[str]:
    """Names that the middle of ``cut`` has and the lines around it do not, in order."""
    visible = [
        *cut.prefix.split("\n")[-VISIBLE_BEFORE:],
        *cut.suffix.split("\n")[:VISIBLE_AFTER],
    ]
    seen = set(IDENTIFIER.findall("\n".join(visible)))
    seen.update(_DEFINED_HERE.findall(cut.prefix + cut.middle + cut.suffix))
    seen.update(_BUILTIN if cut.hole.language == "python" else ())
    return [
        name
        for name in dict.fromkeys(_identifiers(cut))
        if len(name) >= MIN_NAME and name not in seen and name.lower() not in STOP_WORDS
    ]


def _identifiers(cut: Cut) -> list[str]:
    """Identifier leaves of the syntax tree that overlap the middle."""
    before = cut.prefix[-PARSED_BEFORE:]
    before = before[before.find("\n") + 1 :] if len(cut.prefix) > PARSED_BEFORE else before
    head, middle = before.encode(), cut.middle.encode()
    data = head + middle + cut.suffix[:PARSED_AFTER].encode()
    root = parse(data, cut.hole.language)
    if root is None:
        return []
    start, end = len(head), len(head) + len(middle)
    found = []
    pending = [root]
    while pending:
        node = pending.pop()
        inner = [c for c in node.children if c.start_byte < end and c.end_byte > start]
        pending.extend(reversed(inner))
        if not node.children and node.start_byte < end and node.end_byte > start:
            text = data[node.start_byte : node.end_byte].decode("utf-8", "replace")
            is_name = node.type.endswith("identifier") or node.type in _LEAVES
            if is_name and IDENTIFIER.fullmatch(text):
                found.append(text)
    return found


def needs(db: Database, view: str, cut: Cut, names: Sequence[str]) -> list[Need]:
    """Those of ``names`` that other files of ``view`` have and that mean one thing there."""
    found = []
    languages = family(cut.hole.language)
    for name in names:
        rows = db.query(
            "SELECT c.id, c.text, f.path, b.language, EXISTS (SELECT 1 FROM symbols s"
            f" WHERE s.chunk_id = c.id AND s.name = ? AND s.{NO_VALUES}) FROM chunks_fts"
            " JOIN chunks c ON c.id = chunks_fts.rowid JOIN blobs b ON b.id = c.blob_id"
            " JOIN files f ON f.blob_id = c.blob_id JOIN views v ON v.id = f.view_id"
            " WHERE chunks_fts MATCH ? AND v.name = ?",
            (name, f'"{name.lower()}"', view),
        )
        word = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
        defined, used = set(), set()
        for chunk_id, text, path, language, defines in rows:
            other = decode_path(path) != cut.hole.path
            if other and language != TEXT and language in languages and word.search(str(text)):
                (defined if defines else used).add(int(str(chunk_id)))
        if defined:
            one_thing = len(defined) <= MAX_DEFINED and len(used) <= MAX_USED
        else:
            one_thing = 0 < len(used) <= MAX_UNDEFINED and len(split_identifier(name)) > 1
        if one_thing:
            found.append(Need(name, frozenset(defined), frozenset(used)))
    return found


def score(wanted: Sequence[Need], hits: Sequence[Hit]) -> dict[str, float]:
    """How well ``hits`` serve a hole: for each n of :data:`COUNTS`, ``met@n``, the share of its names
    that the first n meet, and ``defined@n``, the same for definitions of those names that have one
    (absent where none has); ``mrr``, one over the rank of the first gold chunk (0: none)."""
    figures = {}
    defined = [need for need in wanted if need.defined]
    for count in COUNTS:
        ids = {hit.chunk_id for hit in hits[:count]}
        figures[f"met@{count}"] = sum(not ids.isdisjoint(n.gold) for n in wanted) / len(wanted)
        if defined:
            hit_names = sum(not ids.isdisjoint(n.defined) for n in defined)
            figures[f"defined@{count}"] = hit_names / len(defined)
    gold = frozenset().union(*(need.gold for need in wanted))
    ranks = [rank for rank, hit in enumerate(hits, 1) if hit.chunk_id in gold]
    figures["mrr"] = 1 / ranks[0] if ranks else 0.0
    return figures
