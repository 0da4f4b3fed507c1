"""The text that a client has, without what it wrote around it: tokens of a model's family, comments
that name the language or the file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from git_copilot.assistant.api.requests import OpenText
from git_copilot.assistant.prompt.fim_parser import parse_fim

# minuet's two lines in front of the text, in comments of the language: "# language: python", "#
# indentation: use 4 spaces for a tab"; the second is empty where the editor has no width.
_MINUET = re.compile(
    r"\A\W{1,6}language: *(?P<language>\w+).*\n(?:(?:\W{1,6}indentation: use .*)?\n)?"
)
# Twinny's last line in front of the text; what stands above it is its own too: the language, and
# pieces of other files.
_TWINNY = re.compile(r"^\W{0,6}File uri: (?P<uri>\S+) \((?P<language>[\w+#-]+)\).*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ClientText:
    """The texts before and after the cursor, and what the client says of them: the file's path, its
    language, other files."""

    prefix: str
    suffix: str
    path: str | None = None
    language: str | None = None
    open_texts: tuple[OpenText, ...] = ()

    @classmethod
    def of(cls, prompt: str, suffix: str, *, may_be_rendered: bool) -> ClientText:
        """
        :param may_be_rendered: the prompt may hold both texts, with the tokens of a known family.
        """
        path: str | None = None
        texts: tuple[OpenText, ...] = ()
        rendered = parse_fim(prompt) if may_be_rendered else None
        prefix = prompt
        if rendered is not None:
            prefix, suffix, path = rendered.prefix, rendered.suffix, rendered.path
            texts = tuple(OpenText(*file) for file in rendered.files)
        header = _TWINNY.search(prefix)
        if header is not None:
            # Its template for CodeLlama, the default, has a blank behind the token.
            suffix = suffix.removeprefix(" ") if "<SUF> " in prompt else suffix
            path = path or _path(header["uri"])
        else:
            header = _MINUET.match(prefix)
        if header is None:
            return cls(prefix, suffix, path, None, texts)
        return cls(prefix[header.end() :], suffix, path, header["language"], texts)


def _path(uri: str) -> str | None:
    """The path of a file on this machine."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    return unquote(parts.path) if parts.scheme == "file" and not parts.netloc else None
