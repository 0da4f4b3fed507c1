"""Made-up secrets of many kinds, in the formats that they are written in.

Values are drawn when this runs: none stands in a file, and no scanner takes this one for a leak.
Each line of ``planted.txt`` is ``kind | path | text``; in the text ``{p}`` is a password with
signs, ``{w}`` one of letters and digits, ``{t}`` a token, ``{h}`` 32 hexadecimal digits, ``{b}``
base64 of ``user:password``, ``{s}`` base32, ``{k}`` a line of a key, ``{d}`` a word that is a
password, ``{u}`` capitals that are no secret, ``{n}`` the end of a line.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_WORDS = ("swordfish", "gandalf", "tangerine", "marmalade", "kingfisher", "dragonfly")
_KEY = "PRIVATE " + "KEY"
CASES = Path(__file__).with_name("planted.txt")


@dataclass(frozen=True, slots=True)
class Planted:
    """A text with secrets in it: ``values`` are what must not be found anywhere."""

    kind: str
    path: str
    text: str
    values: tuple[str, ...]


def planted(seed: int = 0) -> Iterator[Planted]:
    """Every case, with values drawn by ``seed``."""
    draw = random.Random(seed)
    for number, row in enumerate(CASES.read_text("utf-8").splitlines()):
        kind, path, text = row.split(" | ", 2)
        used: list[str] = []
        values = _Values(draw, used)
        body = text.format_map(values).replace("KEYWORD", _KEY)
        yield Planted(kind, f"d{number}/{path}", f"{body}\n", tuple(used))


class _Values(dict[str, str]):
    """Draws a value for each place of a template, and notes it."""

    def __init__(self, draw: random.Random, used: list[str]) -> None:
        super().__init__()
        self._draw, self._used = draw, used

    def __missing__(self, name: str) -> str:
        if name == "n":
            return "\n"
        value = self._value(name)
        if name[0] != "u":
            self._used.append(value)
        return value

    def _value(self, name: str) -> str:
        draw = self._draw
        alphanumeric = string.ascii_letters + string.digits

        def some(letters: str, count: int) -> str:
            return "".join(draw.choice(letters) for _ in range(count))

        if name[0] == "d":
            return draw.choice(_WORDS)
        if name[0] == "u":
            return some(string.ascii_uppercase, int(name[1:]) - 1) + "7"
        if name[0] == "k":
            return "k8" + some(alphanumeric, int(name[1:] or 48) - 2)
        match name:
            case "p":
                ends = some(string.ascii_letters, 2), some(alphanumeric, 2)
                return f"{ends[0]}7#{some(alphanumeric, 2)}9!{ends[1]}"
            case "w":
                word = some(string.ascii_lowercase, 4) + some(string.digits, 2)
                return word + some(alphanumeric, 3)
            case "t":
                return f"{some(string.ascii_lowercase, 3)}4{some(alphanumeric, 24)}"
            case "h":
                return some("0123456789abcdef", 32)
            case "s":
                return some("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 31) + "7"
            case "b":
                return base64.b64encode(f"ada:{some(alphanumeric, 9)}".encode()).decode()
        raise KeyError(name)
