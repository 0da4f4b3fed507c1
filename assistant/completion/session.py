"""Keeps models, embedders and repositories open between requests.

A :class:`Session` belongs to one thread at a time; the server guards it with a lock.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from git_copilot.assistant.completion.answer_cache import AnswerCache
from git_copilot.assistant.completion.workspace import Workspace
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.models.catalogue import find_spec, is_ready, resolve_model
from git_copilot.assistant.prompt.snippet_cache import StickySnippets
from git_copilot.index.core.errors import ModelError
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import is_trusted

if TYPE_CHECKING:
    from git_copilot.assistant.decoding.generation import Generator
    from git_copilot.index.core.types import Embedder

MAX_ENGINES = 2
MAX_REPOSITORIES = 8
MAX_DEFERRED = 16
# Work for the time until the next request: it ends when its argument says so, and returns whether it
# is done.
IdleWork = Callable[[Callable[[], bool]], bool]


class Session:
    """Models, embedders and repositories, least recently used ones dropped."""

    def __init__(self) -> None:
        self.sticky_snippets = StickySnippets()
        self.answers = AnswerCache()
        self._engines: OrderedDict[tuple[object, ...], Generator] = OrderedDict()
        self._embedders: dict[str, Embedder] = {}
        self._workspaces: OrderedDict[Path, Workspace] = OrderedDict()
        # What the last answer left to do before the next, see IdleWork.
        self.idle_work: IdleWork | None = None
        self.cut_prompts = 0  # requests whose prompt was shortened to be read in time
        self._deferred: deque[Callable[[], None]] = deque(maxlen=MAX_DEFERRED)

    def defer(self, action: Callable[[], None]) -> None:
        """Put off what need not be done before the answer has gone out. It must not use what
        the session keeps: the next request may be at it by then."""
        self._deferred.append(action)

    def take_deferred(self) -> list[Callable[[], None]]:
        """What was put off, for whoever gives the answer to call, in this order."""
        taken = list(self._deferred)
        self._deferred.clear()
        return taken

    def workspace(
        self, repo: GitRepository, note: Callable[[str], None] | None = None
    ) -> Workspace:
        """The open repository, with its settings read again; ``note`` hears of what is wrong in
        its committed ones.

        :raises NotInitialised: ``init`` was never run there.
        """
        held = self._workspaces.pop(repo.git_dir, None)
        if held is not None and not (held.current and is_trusted(repo.state_dir)):
            held.close()
            held = None
        if held is None:
            held = Workspace(repo)
        held.read_settings(note)
        self._workspaces[repo.git_dir] = held
        if len(self._workspaces) > MAX_REPOSITORIES:
            self._workspaces.popitem(last=False)[1].close()
        return held

    def recent_roots(self) -> list[Path]:
        """The tops of the open worktrees, the last one used first."""
        roots = (held.repo.root for held in reversed(self._workspaces.values()))
        return [root for root in roots if root is not None]

    def embedder(self, settings: Settings, note: Callable[[str], None]) -> Embedder | None:
        """The configured embedder, or ``None`` (and a note) while it is not here: words and
        definitions are searched all the same."""
        from git_copilot.index.embedding.embedders import load_embedder

        name = settings.embedder
        if name not in self._embedders:
            if not is_ready(name):
                note(f"the embedder {name} is not downloaded yet; `git copilot model pull {name}`")
                return None
            self._embedders[name] = load_embedder(name, resolve_model(name))
        return self._embedders[name]

    def engine(self, model: str, adapter: Path | None, settings: Settings) -> Generator:
        """The model with the adapter merged in, loaded at most once, or the configured server.

        :raises ModelError: the model or the adapter is missing or damaged.
        :raises EndpointError: the settings of the server make no sense.
        """
        key = (
            model,
            str(adapter or ""),
            settings.fim,
            settings.precision,
            settings.copying,
            *_endpoint_settings(settings),
        )
        held = self._engines.pop(key, None)
        if held is None and settings.endpoint:
            from git_copilot.assistant.remote.remote_engine import open_remote

            held = open_remote(settings, model, adapter)
        elif held is None:
            folder = resolve_model(model)
            spec = find_spec(model)
            embeds = spec.kind != "completion" if spec else (folder / "modules.json").exists()
            if embeds:
                raise ModelError(f"{model} is not a completion model", "`git copilot model list`")
            from git_copilot.assistant.decoding.engine import Engine

            held = Engine.load(
                folder, adapter, name=model, fim=settings.fim, precision=settings.precision,
                copying=settings.copying,
            )  # fmt: skip
        self._engines[key] = held
        while len(self._engines) > MAX_ENGINES:
            self._engines.popitem(last=False)
        return held

    def preload(self) -> None:
        """Load the default model, so that the first answer is not late, unless one is loaded."""
        settings = Settings()
        if not self._engines and is_ready(settings.model):
            self.engine(settings.model, None, settings)

    def unload(self) -> None:
        """Forget models and close databases; the next request opens what it needs."""
        self.idle_work = None
        self._engines.clear()
        self._embedders.clear()
        self.close()

    def close(self) -> None:
        """Close every database."""
        for workspace in self._workspaces.values():
            with suppress(OSError):
                workspace.close()
        self._workspaces.clear()


def _endpoint_settings(settings: Settings) -> tuple[object, ...]:
    """What a connection to a server depends on."""
    return (
        settings.endpoint,
        settings.endpoint_model,
        settings.endpoint_key,
        settings.endpoint_prompt,
        settings.endpoint_adapters,
        settings.endpoint_timeout,
    )
