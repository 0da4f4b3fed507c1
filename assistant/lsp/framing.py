"""Finds the messages in what a client writes, also behind one whose length is wrong."""

from __future__ import annotations

import re
from typing import BinaryIO

# Also behind the rest of a body that was longer than its header said, which ends without a line
# break. Within JSON the line break would be escaped.
_LENGTH = re.compile(rb"content-length:[ \t]*(\d{1,10})[ \t]*\r?\n\Z", re.IGNORECASE)
# A message this long is a wrong length: waiting for it would lose all that follow.
MOST_BYTES = 256 * 1024 * 1024


class MessageStream:
    """A client's stream with exactly the headers that the library's parser knows: it takes only
    ``Content-Length: N`` at the beginning of a line, and keeps the first one that it saw until an
    empty line comes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._length = 0

    def readline(self) -> bytes:
        """The header of the next message, then the empty line behind it; nothing at the end."""
        if self._length:
            self._length = 0
            return b"\r\n"
        length = 0
        while line := self._stream.readline():
            found = _LENGTH.search(line)
            if found:
                length = int(found[1])
            elif not line.strip() and 0 < length <= MOST_BYTES:
                self._length = length
                return b"Content-Length: %d\r\n" % length
            elif not line.strip():
                length = 0
        return b""

    def read(self, count: int) -> bytes:
        """The body."""
        return self._stream.read(count)
