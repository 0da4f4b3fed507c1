"""Escapes untrusted text for a terminal. Names, code, authors and messages of a repository may
contain control sequences, or characters that hide or reorder the text around them.

Standard library only: hooks print names too.
"""

from __future__ import annotations

import re

# Invisible or misplaced characters: control and format characters (right-to-left marks, zero-width
# characters, tags), line and paragraph separators, bytes that are not UTF-8, blank fillers, and
# variation selectors unless they follow a character that they can vary.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
    "|(?<![#*0-9]|[^\x00-\x7f\ufe00-\ufe0f])[\ufe0e\ufe0f]"
)
# git's escapes in a quoted name; other characters are written as octal bytes.
_ESCAPES = {
    "\a": r"\a", "\b": r"\b", "\t": r"\t", "\n": r"\n", "\v": r"\v", "\f": r"\f", "\r": r"\r",
    '"': r"\"", "\\": r"\\",
}  # fmt: skip


def printable(text: str, keep: str = "") -> str:
    """Replace control and invisible characters in ``text`` as ``less`` does: ``^[`` for a control
    character, ``<U+202E>`` for others, ``<E9>`` for a byte that is not UTF-8.

    :param keep: characters to leave alone, such as tabs.
    """
    return _HIDDEN.sub(lambda found: found[0] if found[0] in keep else _spelt(found[0]), text)


def _spelt(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"^{chr(code ^ 0x40)}"
    if 0xDC80 <= code <= 0xDCFF:  # Python's surrogate for such a byte
        return f"<{code - 0xDC00:02X}>"
    return f"<U+{code:04X}>"


def quote_path(name: str) -> str:
    """A file name on one line, quoted as git does if it contains a control character, a quote, a
    backslash or an invisible character."""
    if '"' not in name and "\\" not in name and not _HIDDEN.search(name):
        return name
    inner = re.sub(r'["\\]', lambda found: _ESCAPES[found[0]], name)
    return f'"{_HIDDEN.sub(lambda found: _escaped(found[0]), inner)}"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    data = char.encode(
        "utf-8", "surrogateescape" if 0xDC80 <= ord(char) <= 0xDCFF else "surrogatepass"
    )
    return "".join(f"\\{byte:03o}" for byte in data)
