"""Detects the encoding of text files and decodes them. Pure.

A UTF-8 file may contain a few invalid bytes: a name pasted from elsewhere, a test fixture. They
must not change how the other characters are decoded, so each invalid byte becomes one character,
and everything else stays as it is.
"""

from __future__ import annotations

import codecs
import re

UTF_8, LATIN_1, WINDOWS = "utf-8", "latin-1", "cp1252"
# Keeps invalid bytes, so that the text can be encoded into the same bytes again.
KEPT = "surrogateescape"
UNKNOWN = "\ufffd"
_STRAY = re.compile("[\udc80-\udcff]")
_NOT_ASCII = re.compile("[^\0-\x7f]")
# Printable in Windows' code page; control characters in Latin-1, which no source file contains.
_ONLY_WINDOWS = re.compile(rb"[\x80-\x9f]")


def encoding_of(data: bytes) -> str:
    """UTF-8, Latin-1 or Windows' code page 1252.

    Invalid bytes are taken for strays in a UTF-8 file if at least as many non-ASCII characters are
    valid: accented letters in the other two encodings rarely form valid UTF-8 by chance.
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
    """Decode losslessly: :func:`exact_bytes` gives the same bytes again."""
    return data.decode(encoding, KEPT)


def exact_bytes(text: str, encoding: str) -> bytes:
    """Encode a text from :func:`exact_text`."""
    return text.encode(encoding, KEPT)


def readable_text(data: bytes, encoding: str) -> str:
    """Decode with one replacement character for each invalid byte."""
    return _STRAY.sub(UNKNOWN, data.decode(encoding, KEPT))
