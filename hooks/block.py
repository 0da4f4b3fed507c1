"""Inserts git-copilot's block into hook files and removes it. Pure: bytes in, bytes out.

There are three kinds of file. In a shell hook the block follows the shebang, so that nothing the
hook does (``exit``, ``cd``, ``shift``, reading stdin) affects it, nor the reverse. A hook in
another language is moved aside and replaced by a *wrapper*. If there is no hook, one is *created*.
The block's first line records which, so that uninstalling needs only the file itself."""

from __future__ import annotations

import re
from pathlib import Path

START = b"# >>> git-copilot >>>"
END = b"# <<< git-copilot <<<"
CREATED = b"created"
CREATED_FOLDER = b"created, with its folder"
WRAPPER = b"wrapper"
SHEBANG = b"#!/bin/sh\n"
ORIGINAL_SUFFIX = ".copilot-original"
ORIGINAL_FOLDER = "copilot-original"

_SHELLS = (b"sh", b"bash", b"dash", b"ash", b"zsh", b"ksh", b"ksh93", b"mksh")
_BLOCK = re.compile(re.escape(START) + rb"([^\n]*)\n.*?" + re.escape(END), re.DOTALL)
# A polyglot file: sh only until it executes itself with another interpreter, which would fail on
# the block.
_POLYGLOT = re.compile(rb"""exec\b[^\n]*["']?\$\{?0\b""")


def template() -> bytes:
    """The block as shipped, with ``@HOOK@`` for the hook's name."""
    return Path(__file__).with_name("shim.sh").read_bytes()


def block(hook: str, note: bytes = b"") -> bytes:
    """The block for ``hook``, without a final newline; ``note`` goes on its first line."""
    text = template().replace(b"@HOOK@", hook.encode()).rstrip(b"\n")
    return text.replace(START, START + (b" " + note if note else b""), 1)


def sourced() -> bytes:
    """The block for ``hook.sh``, which config hooks and hook managers source.

    ``GIT_COPILOT_HOOK`` passes the hook's name.
    """
    return block('"${GIT_COPILOT_HOOK-}"') + b"\n"


def note(content: bytes) -> bytes | None:
    """The note on the block's first line (may be ``b""``), or ``None`` without a block."""
    found = _BLOCK.search(content)
    return None if found is None else found[1].strip()


def is_shell(content: bytes) -> bool:
    """Whether the block can be inserted: the hook is for sh or a compatible shell."""
    if b"\0" in content[:4096] or _POLYGLOT.search(content[:400]):
        return False
    if not content.startswith(b"#!"):
        return True  # git runs a script without a shebang with sh
    words = content[2:].split(b"\n", 1)[0].split()
    if words and words[0].endswith(b"/env"):
        words = [w for w in words[1:] if not w.startswith(b"-") and b"=" not in w]
    return bool(words) and words[0].rpartition(b"/")[2] in _SHELLS


def created(hook: str, with_folder: bool) -> bytes:
    """A new hook that contains the block only."""
    return SHEBANG + block(hook, CREATED_FOLDER if with_folder else CREATED) + b"\n"


def wrapper(hook: str, original: str) -> bytes:
    """A hook that runs the block and then executes ``original`` (relative to its own folder)."""
    return SHEBANG + block(hook, WRAPPER) + b"\n" + _passthrough(original)


def is_passthrough(content: bytes, original: str) -> bool:
    """Whether a stripped wrapper is unmodified, so that the original can be restored."""
    return content == SHEBANG + _passthrough(original)


def insert(content: bytes, hook: str) -> bytes:
    """``content`` with the block after its shebang, or with its older block replaced."""
    found = _BLOCK.search(content)
    if found is not None:
        fresh = block(hook, found[1].strip())
        return content[: found.start()] + fresh + content[found.end() :]
    if not content.startswith(b"#!"):
        return block(hook) + b"\n" + content
    shebang, newline, rest = content.partition(b"\n")
    # If the shebang has no newline, the block ends the file, by which `strip` recognises the case.
    return shebang + b"\n" + block(hook) + newline + rest


def strip(content: bytes) -> bytes:
    """``content`` as it was before :func:`insert`."""
    found = _BLOCK.search(content)
    if found is None:
        return content
    before, after = content[: found.start()], content[found.end() :]
    return before + after[1:] if after.startswith(b"\n") else before.removesuffix(b"\n") + after


def _passthrough(original: str) -> bytes:
    # A hook that is not executable has been disabled by its owner.
    return f'o=${{0%/*}}/{original}\n[ ! -x "$o" ] || exec "$o" "$@"\n'.encode()
