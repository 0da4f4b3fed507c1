"""Takes a rendered fill-in-the-middle prompt apart again. Pure.

Clients that know a model family's tokens render the prompt themselves. What a server of ours needs is
what they rendered: the texts on both sides of the cursor, and the files before them.
"""

from __future__ import annotations

from dataclasses import dataclass

from git_copilot.assistant.prompt.fim import FORMATS, FimFormat

# As editors' templates write CodeLlama's tokens, which are not how its vocabulary spells them.
_CODELLAMA = FimFormat("codellama", "psm", "<PRE>", "<SUF>", "<MID>", ("<EOT>",))
# Tokens in front of a file's path, of any family: families share the others.
FILE_MARKS = tuple(dict.fromkeys(fim.file for fim in FORMATS if fim.file))


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """What a prompt was made of. ``path`` is the file's, where it is named; ``files`` are the paths
    and texts of others."""

    prefix: str
    suffix: str
    path: str | None = None
    files: tuple[tuple[str, str], ...] = ()


def parse_fim(prompt: str) -> RenderedPrompt | None:
    """The parts of a prompt in the format of a known family, ``None`` for any other text.

    Families share tokens, so the order of the tokens decides what stands where.
    """
    for fim in (*FORMATS, _CODELLAMA):
        found = _parse(prompt, fim)
        if found is not None:
            return found
    return None


def _parse(prompt: str, fim: FimFormat) -> RenderedPrompt | None:
    before, after, middle = fim.prefix, fim.suffix, fim.middle
    if before not in prompt or after not in prompt:
        return None
    body = prompt
    if middle:
        if not body.rstrip().endswith(middle):
            return None
        body = body.rstrip()[: -len(middle)]
    first, second = body.find(before), body.find(after)
    if first < 0 or second < 0:
        return None
    head = body[: min(first, second)]
    if first < second:
        prefix, suffix = body[first + len(before) : second], body[second + len(after) :]
    else:
        suffix, prefix = body[second + len(after) : first], body[first + len(before) :]
    if before == "<PRE>":  # its template has a blank behind the token, and before the next
        prefix, suffix = prefix.removeprefix(" ").removesuffix(" "), suffix.removesuffix(" ")
    files, path = _files(head)
    if path is None:
        path, prefix = _own_path(prefix)
    return RenderedPrompt(prefix, suffix, path, files)


def _files(head: str) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """The other files at the head of a prompt, and the path of the last one, if that has no text:
    it is the path of the edited file."""
    mark = next((mark for mark in FILE_MARKS if mark in head), None)
    if mark is None:
        return (), None
    files = []
    for part in head.split(mark)[1:]:
        path, _, text = part.partition("\n")
        files.append((path.strip(), text))
    last = None if files[-1][1].strip() else files.pop()[0] or None
    return tuple((name, text) for name, text in files if name and text.strip()), last


def _own_path(prefix: str) -> tuple[str | None, str]:
    """The path in front of the text, in families that have it inside."""
    for mark in FILE_MARKS:
        path, newline, text = prefix.removeprefix(mark).partition("\n")
        if prefix.startswith(mark) and newline:
            return path.strip() or None, text
    return None, prefix
