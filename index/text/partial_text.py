"""A text that is a part of a file, and what the file has above and below it. Pure."""

from __future__ import annotations

# A shorter text stands in many files.
LEAST_LENGTH = 8
# Lines at the end of a part that show where it stands in the whole.
ANCHOR_LINES = 6


def text_above(part: str, file: str, newline: str = "\n") -> str:
    """What stands in ``file`` above ``part``, which may begin in the middle of a line; nothing where
    the first whole lines of ``part`` stand in the file more than once or not at all."""
    first, *lines = part.split(newline)
    anchor = newline.join(lines[:-1][:ANCHOR_LINES])
    if len(anchor.strip()) < LEAST_LENGTH or file.count(anchor) != 1:
        return ""
    before = file[: file.index(anchor)]
    begun = first + newline
    return before[: -len(begun)] if before.endswith(begun) else ""


def text_below(part: str, file: str, newline: str = "\n") -> str:
    """What stands in ``file`` below ``part``, which may end in the middle of a line; nothing where the
    last whole lines of ``part`` stand in the file more than once or not at all."""
    *lines, last = part.split(newline)
    anchor = newline.join(lines[1:][-ANCHOR_LINES:])
    if len(anchor.strip()) < LEAST_LENGTH or file.count(anchor) != 1:
        return ""
    after = file[file.index(anchor) + len(anchor) :]
    begun = newline + last
    return after[len(begun) :] if after.startswith(begun) else ""
