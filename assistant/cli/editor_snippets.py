"""The configuration of each editor, from ``editors.toml``: one text for the command and the pages."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from git_copilot.assistant.http.address import HttpAddress

# What stands for the token, where an editor can neither read its file nor the environment.
TOKEN_PLACE = "TOKEN"
DEFAULT_ADDRESS = HttpAddress("127.0.0.1", 8012)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the texts say of a machine: where HTTP is answered, the token's file, the token where it
    may be shown, the command. The defaults are those of the documentation."""

    address: HttpAddress = DEFAULT_ADDRESS
    token_file: str = "~/.local/share/git-copilot/http-token"
    token: str = TOKEN_PLACE
    command: str = "git-copilot"

    def fill(self, text: str) -> str:
        """``text`` with the values of this machine."""
        values = {
            "@URL@": self.address.url,
            "@PORT@": str(self.address.port),
            "@TOKEN_FILE@": self.token_file,
            "@TOKEN@": self.token,
            "@COMMAND@": self.command,
        }
        for name, value in values.items():
            text = text.replace(name, value)
        return text


@dataclass(frozen=True, slots=True)
class Editor:
    """An editor or a plug-in of one: how it asks (``way``), whether that was ``tried`` (yes, replayed,
    no), its ``page`` in docs/editors, the ``file`` into which its ``snippet`` goes."""

    name: str
    title: str
    way: str
    tried: str
    page: str
    file: str
    snippet: str
    remarks: tuple[str, ...] = ()

    @property
    def uses_http(self) -> bool:
        return self.way.startswith("HTTP")

    @property
    def needs_token(self) -> bool:
        """Whether the token itself stands in the file."""
        return "@TOKEN@" in self.snippet

    def of(self, machine: Machine) -> Editor:
        """The same with the values of a machine."""
        shell = replace(machine, token_file=shlex.quote(machine.token_file))
        remarks = tuple(shell.fill(remark) for remark in self.remarks)
        return replace(self, snippet=machine.fill(self.snippet), remarks=remarks)


@cache
def editors() -> dict[str, Editor]:
    """All editors by name."""
    read = tomllib.loads(Path(__file__).with_name("editors.toml").read_text("utf-8"))
    found: dict[str, Editor] = {}
    for entry in read["editor"]:
        values: dict[str, Any] = {**entry, "remarks": tuple(entry.get("remarks", ()))}
        like = values.pop("like", None)
        if like is None:
            found[entry["name"]] = Editor(**values)
        else:
            found[entry["name"]] = replace(found[like], name=entry["name"], title=entry["title"])
    return found
