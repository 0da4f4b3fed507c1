"""A text around a cursor that may be a part of a file. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# Lines on each side of the cursor that tell which file a text comes from.
NEAR_LINES = 40
# Shorter lines stand in many files.
LEAST_LENGTH = 8
# Lines at the end of a part that show where it stands in the whole.
ANCHOR_LINES = 6


@dataclass(frozen=True, slots=True)
class Window:
    """The texts before and after a cursor."""

    prefix: str
    suffix: str

    @property
    def line(self) -> int:
        """The cursor's line, from 1."""
        return self.prefix.count("\n") + 1

    @property
    def column(self) -> int:
        """The cursor's column in characters, from 1."""
        return len(self.prefix) - self.prefix.rfind("\n")

    def near_lines(self) -> list[str]:
        """The lines around the cursor without its own, stripped; without short ones."""
        above = self.prefix.split("\n")[:-1][-NEAR_LINES:]
        below = self.suffix.split("\n")[1:][:NEAR_LINES]
        return [line.strip() for line in (*above, *below) if len(line.strip()) >= LEAST_LENGTH]

    def within(self, file: str) -> Window:
        """The window extended by what ``file`` has above and below it.

        Where the text's ends stand in the file more than once or not at all it is left as it is.
        """
        newline = "\r\n" if "\r\n" in self.prefix or "\r\n" in self.suffix else "\n"
        file = file.replace("\r\n", "\n").replace("\n", newline)
        return Window(
            _above(self.prefix, file, newline) + self.prefix,
            self.suffix + _below(self.suffix, file, newline),
        )


def same_lines(lines: list[str], text: str) -> float:
    """The share of ``lines`` that are lines of ``text``, white space around them apart."""
    known = {line.strip() for line in text.split("\n")}
    return sum(line in known for line in lines) / len(lines)


def _above(prefix: str, file: str, newline: str) -> str:
    """What stands in ``file`` above ``prefix``, which may begin in the middle of a line."""
    first, *lines = prefix.split(newline)
    anchor = newline.join(lines[:-1][:ANCHOR_LINES])
    if len(anchor.strip()) < LEAST_LENGTH or file.count(anchor) != 1:
        return ""
    before = file[: file.index(anchor)]
    begun = first + newline
    return before[: -len(begun)] if before.endswith(begun) else ""


def _below(suffix: str, file: str, newline: str) -> str:
    """What stands in ``file`` below ``suffix``, which may end in the middle of a line."""
    *lines, last = suffix.split(newline)
    anchor = newline.join(lines[1:][-ANCHOR_LINES:])
    if len(anchor.strip()) < LEAST_LENGTH or file.count(anchor) != 1:
        return ""
    after = file[file.index(anchor) + len(anchor) :]
    begun = newline + last
    return after[len(begun) :] if after.startswith(begun) else ""
