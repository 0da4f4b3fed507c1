"""What to look for at a cursor, and which of what was found may enter the prompt. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from git_copilot.index.search import Query, names_in
from git_copilot.index.terms import IDENTIFIER
from git_copilot.index.types import Hit

# The lines around the cursor that say what the next one is about.
LINES_BEFORE, LINES_AFTER = 20, 4
# Imports name other files' definitions; they stand in a file's first lines.
HEADER_LINES = 40
MAX_PARTIAL = 100
_PARTIAL = re.compile(r"[^\W\d]\w*$")
_IMPORTS = ("import ", "from ", "use ", "#include", "require", "using ", "const ")


def cursor_query(path: str, language: str, prefix: str, suffix: str) -> Query:
    """The query for a cursor between ``prefix`` and ``suffix`` of ``path``."""
    before = prefix.split("\n")[-LINES_BEFORE:]
    after = suffix.split("\n")[:LINES_AFTER]
    names = names_in("\n".join(before))
    lines = prefix.split("\n")[:HEADER_LINES]
    imported = names_in("\n".join(x for x in lines if x.lstrip().startswith(_IMPORTS)))
    # Modules used near the cursor first: `elapsed.` wants what elapsed.py defines.
    used = [name for name in dict.fromkeys(names) if name in imported]
    return Query(
        # The cursor's side last: it decides ties.
        text="\n".join([*after, *before]),
        names=tuple(dict.fromkeys([*names, *imported])),
        partial=partial[0] if (partial := _PARTIAL.findall(prefix[-MAX_PARTIAL:])) else "",
        modules=tuple(dict.fromkeys([*used, *imported])),
        exclude=path,
        near=path,
        language=language,
    )


def drop_seen(hits: Sequence[Hit], prefix: str, suffix: str) -> list[Hit]:
    """Leave out hits whose lines are in view already (a moved or copied file)."""
    seen = {line.strip() for line in (prefix + "\n" + suffix).split("\n")}
    kept = []
    for hit in hits:
        lines = [x.strip() for x in hit.text.split("\n") if IDENTIFIER.search(x)]
        if lines and sum(line in seen for line in lines) * 2 <= len(lines):
            kept.append(hit)
    return kept
