"""In which encoding the bytes of a text file are, and how they become text. Pure.

A file of UTF-8 may hold a few bytes that are none: a name pasted from elsewhere, a fixture of a
test. They must not change how the other characters are read, so one byte that is no UTF-8 is one
character, and everything else stays as it is.
"""

from __future__ import annotations

import codecs
import re

UTF_8, LATIN_1, WINDOWS = "utf-8", "latin-1", "cp1252"
# How bytes that are no UTF-8 are kept, so that text can be turned into the same bytes again.
KEPT = "surrogateescape"
UNKNOWN = "\ufffd"
_STRAY = re.compile("[\udc80-\udcff]")
_NOT_ASCII = re.compile("[^\0-\x7f]")
# Printed characters in Windows' code page, control characters in Latin-1, where no program has them.
_ONLY_WINDOWS = re.compile(rb"[\x80-\x9f]")


def encoding_of(data: bytes) -> str:
    """UTF-8, Latin-1 or Windows' code page 1252.

    Bytes that are no UTF-8 are strays of a UTF-8 file when at least as many characters beyond
    ASCII are valid there: accented letters of the other two seldom look like that by chance.
    """
    if data.startswith(codecs.BOM_UTF8):
        return UTF_8
    try:
        data.decode(UTF_8)
    except UnicodeDecodeError:
        text = data.decode(UTF_8, KEPT)
        strays = len(_STRAY.findall(text))
        if len(_NOT_ASCII.findall(text)) - strays >= strays:
            return UTF_8
        return WINDOWS if _is_windows(data) else LATIN_1
    return UTF_8


def _is_windows(data: bytes) -> bool:
    if not _ONLY_WINDOWS.search(data):
        return False
    try:
        data.decode(WINDOWS)
    except UnicodeDecodeError:
        return False
    return True


def exact_text(data: bytes, encoding: str) -> str:
    """Text that :func:`exact_bytes` turns into the same bytes again."""
    return data.decode(encoding, KEPT)


def exact_bytes(text: str, encoding: str) -> bytes:
    """The bytes of :func:`exact_text`."""
    return text.encode(encoding, KEPT)


def readable_text(data: bytes, encoding: str) -> str:
    """Text that every reader takes: a byte that is no UTF-8 is one replacement character."""
    return _STRAY.sub(UNKNOWN, data.decode(encoding, KEPT))
