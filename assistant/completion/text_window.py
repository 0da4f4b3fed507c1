"""A text around a cursor that may be a part of a file. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from git_copilot.index.text.partial_text import LEAST_LENGTH, text_above, text_below

# Lines on each side of the cursor that tell which file a text comes from.
NEAR_LINES = 40


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
            text_above(self.prefix, file, newline) + self.prefix,
            self.suffix + text_below(self.suffix, file, newline),
        )


def same_lines(lines: list[str], text: str) -> float:
    """The share of ``lines`` that are lines of ``text``, white space around them apart."""
    known = {line.strip() for line in text.split("\n")}
    return sum(line in known for line in lines) / len(lines)
