"""The search query for a cursor. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from git_copilot.assistant.prompt.builder import Budget
from git_copilot.index.search.edited_file import EditedFile
from git_copilot.index.search.retriever import Query
from git_copilot.index.text.terms import identifiers_from_end, words_near

# The lines around the cursor that suggest what the next one is about.
LINES_BEFORE, LINES_AFTER = 20, 4
# Imports name definitions of other files; they stand in a file's first lines.
HEADER_LINES = 40
# Of a longer line the part next to the cursor, or its beginning, says enough.
MAX_LINE = 2000
MAX_PARTIAL = 100
TOKEN_CHARACTERS = 3  # of a token of code, on average
_PARTIAL = re.compile(r"[^\W\d]\w*$")
_IMPORTS = ("import ", "from ", "use ", "#include", "require", "using ", "const ")


def edited_file(path: str, prefix: str, suffix: str, budget: Budget) -> EditedFile:
    """The file that is completed, with the text that a prompt of ``budget`` shows in any case."""
    before = max(0, budget.prompt - budget.context - budget.suffix)
    return EditedFile(
        path, prefix, suffix, before * TOKEN_CHARACTERS, budget.suffix * TOKEN_CHARACTERS
    )


def cursor_query(
    file: EditedFile, language: str, partners: Mapping[str, float] | None = None
) -> Query:
    """The query for the cursor in ``file``, whose own chunks are searched in an overlay.

    :param partners: weights of files that change with it, from
        :class:`~git_copilot.index.search.cochange.CoChange`.
    """
    prefix = file.prefix
    near = [line[-MAX_LINE:] for line in prefix.rsplit("\n", LINES_BEFORE)[-LINES_BEFORE:]]
    after = [line[:MAX_LINE] for line in file.suffix.split("\n", LINES_AFTER)[:LINES_AFTER]]
    header = [line[:MAX_LINE] for line in prefix.split("\n", HEADER_LINES)[:HEADER_LINES]]
    imported = identifiers_from_end("\n".join(x for x in header if x.lstrip().startswith(_IMPORTS)))
    return Query(
        text="\n".join([*after, *near]),
        words=words_near(near, after),
        names=tuple(dict.fromkeys([*identifiers_from_end("\n".join(near)), *imported])),
        partial=partial[0] if (partial := _PARTIAL.findall(prefix[-MAX_PARTIAL:])) else "",
        modules=tuple(imported),
        # What the prompt shows anyway adds nothing, wherever it stands.
        seen=file.visible_lines,
        partners={**(partners or {}), file.path: 1.0},
        language=language,
    )
