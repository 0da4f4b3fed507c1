"""The search query for a cursor. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from git_copilot.index.search.retriever import Query, names_in
from git_copilot.index.text.terms import words_near

# The lines around the cursor that suggest what the next one is about.
LINES_BEFORE, LINES_AFTER = 20, 4
# Imports name definitions of other files; they stand in a file's first lines.
HEADER_LINES = 40
MAX_PARTIAL = 100
_PARTIAL = re.compile(r"[^\W\d]\w*$")
_IMPORTS = ("import ", "from ", "use ", "#include", "require", "using ", "const ")


def cursor_query(
    path: str,
    language: str,
    prefix: str,
    suffix: str,
    partners: Mapping[str, float] | None = None,
) -> Query:
    """The query for a cursor between ``prefix`` and ``suffix`` of ``path``.

    :param partners: weights of files that change with it, from
        :class:`~git_copilot.index.search.cochange.CoChange`.
    """
    before = prefix.split("\n")
    after = suffix.split("\n")
    near = before[-LINES_BEFORE:]
    imported = names_in(
        "\n".join(x for x in before[:HEADER_LINES] if x.lstrip().startswith(_IMPORTS))
    )
    return Query(
        text="\n".join([*after[:LINES_AFTER], *near]),
        words=words_near(near, after[:LINES_AFTER]),
        names=tuple(dict.fromkeys([*names_in("\n".join(near)), *imported])),
        partial=partial[0] if (partial := _PARTIAL.findall(prefix[-MAX_PARTIAL:])) else "",
        modules=tuple(imported),
        # A moved or copied file adds nothing.
        seen=frozenset(line.strip() for line in (*before, *after)),
        partners=partners or {},
        exclude=path,
        language=language,
    )
