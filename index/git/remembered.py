"""A repository that asks git again only when what git reads has changed: for a server that is asked
at every keystroke, where five processes of git take longer than a search.

Files tell: the content of ``HEAD`` and of its branch, the times of packed refs and of every file of
the configuration. Times that are too new to be told from a later change are not relied upon.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from git_copilot.index.core.types import ConfigEntry
from git_copilot.index.git.discovery import find_repository
from git_copilot.index.git.repository import GitRepository, environment_overrides
from git_copilot.index.git.user_config import command_line_config

# A file that was written this shortly before it was read may change again without a new time.
RACY_NS = 20_000_000
# An included file that is not there yet, and a condition of an include, cannot be watched.
INCLUDES_SECONDS = 2.0
# So long a repository is the one of a folder without another look at mounts and ceilings.
FOUND_SECONDS = 5.0
# So long a file that HEAD does not have is not looked for: in a partial clone it may arrive.
MISSING_SECONDS = 30.0
MOST_FOLDERS = 64
_INCLUDES = ("include.", "includeif.")
# What decides which files git reads.
_VARIABLES = (
    "HOME",
    "XDG_CONFIG_HOME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
)
_SYSTEM = Path("/etc/gitconfig")
_SMALL = 4096


def file_stamp(path: Path) -> Hashable:
    """What changes when a file does; ``None`` while there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino, facts.st_uid


def is_settled(paths: Iterable[Path]) -> bool:
    """Whether the last change of each file is old enough for its times to tell a new one."""
    latest = 0
    for path in paths:
        with suppress(OSError):
            facts = path.stat()
            latest = max(latest, facts.st_mtime_ns, facts.st_ctime_ns)
    return time.time_ns() - latest > RACY_NS


def _content(path: Path) -> bytes | None:
    """The beginning of a small file."""
    try:
        with path.open("rb") as file:
            return file.read(_SMALL)
    except OSError:
        return None


def user_config_files() -> list[Path]:
    """Where git looks for the configuration of the user and of the machine."""
    home = os.environ.get("HOME", "")
    given = os.environ.get("GIT_CONFIG_GLOBAL")
    elsewhere = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    system = Path(os.environ.get("GIT_CONFIG_SYSTEM") or _SYSTEM)
    own = [Path(given)] if given else [Path(home, ".gitconfig"), Path(elsewhere, "git/config")]
    return [*own, system]


@dataclass(frozen=True, slots=True)
class _Configuration:
    """All of a repository's configuration, keys as git prints them, and when it was read from which
    files."""

    entries: tuple[ConfigEntry, ...]
    files: tuple[Path, ...]
    key: Hashable
    until: float


@dataclass(frozen=True, slots=True)
class _Defaults:
    """The beginning of a file of a tree."""

    tree: str
    name: str
    limit: int
    data: bytes | None
    until: float


class RememberedRepository(GitRepository):
    """A repository whose HEAD and configuration are read again when they have changed."""

    _known_head: tuple[Hashable, str | None] | None = None
    _defaults: _Defaults | None = None
    _configuration: _Configuration | None = None

    def head_tree(self) -> str | None:
        key = self._head_key()
        if key is None:
            return super().head_tree()
        if self._known_head is None or self._known_head[0] != key:
            self._known_head = key, super().head_tree()
        return self._known_head[1]

    def _head_key(self) -> Hashable | None:
        """What HEAD's tree depends on; ``None`` where files do not tell."""
        head = _content(self.git_dir / "HEAD")
        if head is None:
            return None
        watched = [self.common_dir / "packed-refs", self.common_dir / "refs" / "replace"]
        loose: list[bytes | None] = []
        if head.startswith(b"ref: "):
            name = os.fsdecode(head[5:].strip())
            loose = [_content(folder / name) for folder in (self.git_dir, self.common_dir)]
            if any(text is not None and text.startswith(b"ref:") for text in loose):
                return None
        tables = [
            _content(folder / "reftable" / "tables.list")
            for folder in (self.git_dir, self.common_dir)
        ]
        if not is_settled(watched):
            return None
        return head, *loose, *tables, *map(file_stamp, watched)

    def read_prefix(self, name: str, limit: int) -> bytes | None:
        if not name.startswith("HEAD:"):
            return super().read_prefix(name, limit)
        tree, known, now = self.head_tree() or "", self._defaults, time.monotonic()
        asked = (tree, name, limit)
        if known is None or (known.tree, known.name, known.limit) != asked or now >= known.until:
            data = super().read_prefix(name, limit)
            until = now + MISSING_SECONDS if data is None else math.inf
            known = self._defaults = _Defaults(tree, name, limit, data, until)
        return known.data

    def config_entries(self, prefix: str) -> list[ConfigEntry]:
        begin = f"{prefix}."
        return [
            replace(each, key=each.key.lower().removeprefix(begin))
            for each in self._all_config()
            if each.key.startswith(begin)
        ]

    def _filter_keys(self) -> set[str]:
        return {each.key for each in self._all_config() if each.key.startswith("filter.")}

    def _all_config(self) -> tuple[ConfigEntry, ...]:
        """Every value of the configuration, in git's order."""
        known = self._configuration
        if (
            known is not None
            and time.monotonic() < known.until
            and known.key == self._config_key(known.files)
        ):
            return known.entries
        files = known.files if known else self._config_files(())
        key = self._config_key(files)
        command = ("config", "-z", "--show-scope", "--show-origin", "--list")
        _, out, _ = self.try_run(*command, env=command_line_config())
        entries = tuple(_entries(out))
        named = self._config_files(entries)
        includes = any(each.key.startswith(_INCLUDES) for each in entries)
        seconds = INCLUDES_SECONDS if includes else math.inf
        self._configuration = None
        if named == files and is_settled(files):
            self._configuration = _Configuration(entries, files, key, time.monotonic() + seconds)
        elif named != files:
            # The files were not watched while they were read: once more, the next time.
            self._configuration = _Configuration(entries, named, None, 0.0)
        return entries

    def _config_files(self, entries: Iterable[ConfigEntry]) -> tuple[Path, ...]:
        own = [self.common_dir / "config", self.git_dir / "config.worktree", *user_config_files()]
        said = [self._cwd() / each.origin for each in entries if each.scope != "command"]
        return tuple(dict.fromkeys([*own, *said]))

    def _config_key(self, files: Iterable[Path]) -> Hashable:
        variables = tuple(os.environ.get(name) for name in _VARIABLES)
        given = tuple(sorted(command_line_config().items()))
        return variables, given, *map(file_stamp, files)


def _entries(listed: bytes) -> Iterator[ConfigEntry]:
    """What git printed for ``config -z --show-scope --show-origin --list``."""
    parts = os.fsdecode(listed).split("\0")
    for scope, origin, record in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        key, _, value = record.partition("\n")
        yield ConfigEntry(scope, origin.removeprefix("file:"), key, value)


class RepositoryFinder:
    """Finds the repository of a folder, and finds the same one again without asking git."""

    def __init__(self) -> None:
        self._found: dict[Path, tuple[RememberedRepository, Hashable, float]] = {}
        self._lock = threading.Lock()

    def find(self, folder: Path) -> GitRepository:
        """The repository that contains ``folder``, as :meth:`GitRepository.discover` finds it;
        an instance that remembers.

        :raises NotARepository: there is none.
        :raises GitError: git refuses to work there.
        """
        if environment_overrides():
            return GitRepository.discover(folder)
        with self._lock:
            held = self._found.pop(folder, None)
            if held is not None:
                repo, key, until = held
                if time.monotonic() < until and key == _place_key(folder, repo):
                    self._found[folder] = held
                    return repo
            found = find_repository(folder, {})
            again = held[0] if held else None
            repo = RememberedRepository(found.git_dir, found.common_dir, found.root)
            if again is not None and (again.git_dir, again.root) == (repo.git_dir, repo.root):
                repo = again
            self._found[folder] = repo, _place_key(folder, repo), time.monotonic() + FOUND_SECONDS
            while len(self._found) > MOST_FOLDERS:
                del self._found[next(iter(self._found))]
            return repo


def _place_key(folder: Path, repo: RememberedRepository) -> Hashable:
    """What makes ``repo`` the repository of ``folder``: no other begins between them, its own
    folder and its owner are the same, and so is the user's list of what is safe."""
    root = repo.root or repo.git_dir
    between = [path for path in (folder, *folder.parents) if path.is_relative_to(root)]
    begun = tuple(os.path.lexists(path / ".git") for path in between)
    link = root / ".git"
    own = _content(link) if link.is_file() else None
    facts = []
    for path in (root, link, repo.git_dir):
        with suppress(OSError):
            status = path.stat()
            facts += [status.st_ino, status.st_dev, status.st_uid]
    return begun, own, tuple(facts), tuple(map(file_stamp, user_config_files()))
