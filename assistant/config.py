"""Settings: git configuration ``copilot.*``, with defaults from a committed ``.gitcopilot``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

import platformdirs

from git_copilot.assistant.fim import FORMATS
from git_copilot.index.errors import CopilotError
from git_copilot.index.git import GitRepository
from git_copilot.index.known import is_known

# Snippets that are copied from (copying.py). Of 300 holes of the repositories that its weights
# come from a token took 1.190 nats with 6, 1.175 with 24 and 1.169 with 40; 1.373 without copying.
NEARBY = 24
APP = "git-copilot"
REPOSITORY_DEFAULTS = ".gitcopilot"
# A clone must not choose which model file is loaded or whether a process starts: from the
# committed file only keys that change numbers are honoured.
HARMLESS = frozenset(
    {
        "maxtokens", "prompttokens", "contexttokens", "suffixtokens", "snippets",
        "historycommits", "latencyms", "timelimitms",
    }
)  # fmt: skip
# Where the user, or the machine's administrator, speaks.
USERS_SCOPES = frozenset({"system", "global", "command"})
# Below these a setting makes no sense; a prompt must hold a line and what heads it.
MINIMA = {
    "maxtokens": 1,
    "prompttokens": 128,
    "adapterrank": 1,
    "refreshholes": 1,
    "endpointtimeout": 1,
}
CHOICES = {
    "corpussource": ("commits", "snapshot", "both", "auto"),
    "fim": ("auto", "none", *(form.family for form in FORMATS)),
    "precision": ("auto", "int8", "bf16", "fp32"),
    "endpointprompt": ("auto", "tokens", "text"),
    "endpointadapters": ("none", "name", "load"),
}
TRUE = {"true", "yes", "on", "1", ""}
FALSE = {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True)
class Settings:
    """One value per ``git config copilot.<name>`` (names are case-insensitive there)."""

    model: str = "copilot-135m-v5"
    embedder: str = "copilot-embed-v1"
    # Tokens a completion may have.
    max_tokens: int = 64
    # Tokens of the whole prompt, and the shares that snippets and the suffix may take of it.
    # 1,024 tokens take about a second to read on two cores when nothing is cached.
    prompt_tokens: int = 1024
    context_tokens: int = 512
    suffix_tokens: int = 192
    snippets: int = 6
    # How the model was taught to fill in the middle: a family of fim.py, none, or as its tokens say.
    fim: str = "auto"
    # In what a CPU decodes: int8 weights, bf16, fp32, or what suits this machine.
    precision: str = "auto"
    # Milliseconds that reading a prompt may take where nothing of it is cached; a slow machine
    # gets a shorter prompt. 0 sets no bound.
    latency_ms: int = 1500
    # Milliseconds that reading the prompt and writing may take in all once the model is loaded;
    # what was written by then is the answer. 0 sets no bound. See complete.PATIENCE.
    time_limit_ms: int = 10_000
    # Let the model write the token before the cursor anew, together with what follows it.
    healing: bool = True
    # Let a model that was measured for it copy from the rest of the file and from other files:
    # see copying.py.
    copying: bool = True
    # Tokens that such a model may read to find a likelier line than the greedy one (0: it stays
    # greedy): see likeliest.py.
    alternatives: int = 16
    # A server that speaks OpenAI's /v1/completions and computes instead of this machine: its
    # address, the model's name there, and the environment variable that holds its key.
    endpoint: str = ""
    endpoint_model: str = ""
    endpoint_key: str = ""
    # Send token ids or text; `auto` is ids where the model's tokenizer is here.
    endpoint_prompt: str = "auto"
    # Adapters there: none, known by their name, or loaded when first needed (vLLM).
    endpoint_adapters: str = "none"
    # Seconds that one completion may take there.
    endpoint_timeout: int = 30
    # Keep what was shown, here, to learn from what became of it.
    feedback: bool = True
    server: bool = True
    server_idle: int = 1800
    history_commits: int = 5000
    # What is learnt from: what commits wrote, the files as they are, or both; `auto` is both as
    # long as commits give few holes.
    corpus_source: str = "commits"
    # Train after so many new mainline commits; 0 never trains by itself.
    refresh_commits: int = 50
    # Bounds of one refresh that starts by itself.
    refresh_holes: int = 1000
    refresh_minutes: int = 20
    adapter_rank: int = 16
    seed: int = 0

    @property
    def found(self) -> int:
        """How many snippets to look for: more than a prompt has room for where they are copied
        from."""
        copies = self.copying and self.snippets and not self.endpoint
        return max(self.snippets, NEARBY) if copies else self.snippets


def cache_dir() -> Path:
    """The user's cache folder: models and embedders, shared by all repositories."""
    override = os.environ.get("GIT_COPILOT_CACHE")
    return Path(override) if override else platformdirs.user_cache_path(APP)


def log_dir() -> Path:
    """Where reports of unexpected errors go."""
    return platformdirs.user_log_path(APP)


def load_settings(repo: GitRepository | None, commit: str = "HEAD") -> Settings:
    """Read the settings that hold in ``repo`` (the user's own where there is no repository).

    :param commit: whose ``.gitcopilot`` counts.
    :raises CopilotError: a value has the wrong type.
    """
    if repo is None:
        return Settings()
    committed = {
        key: value
        for key, value in repo.config_of_blob(f"{commit}:{REPOSITORY_DEFAULTS}", "copilot").items()
        if key in HARMLESS
    }
    return parse_settings({**committed, **own_settings(repo)})


def own_settings(repo: GitRepository) -> dict[str, str]:
    """What the configuration says, lower-case key to value. The repository's own part of it counts
    in full only where the user has made the repository known; elsewhere like ``.gitcopilot``."""
    skipped = set(skipped_settings(repo, records := repo.scoped_config("copilot")))
    return {key: value for scope, key, value in records if (scope, key) not in skipped}


def skipped_settings(
    repo: GitRepository, records: Iterable[tuple[str, str, str]] | None = None
) -> list[tuple[str, str]]:
    """(scope, key) of what the configuration of a repository that is not known says in vain: it
    may come from whoever packed the repository."""
    if is_known(repo.state_dir):
        return []
    records = repo.scoped_config("copilot") if records is None else records
    near = ((scope, key) for scope, key, _ in records if scope not in USERS_SCOPES)
    return [(scope, key) for scope, key in near if key not in HARMLESS]


def parse_settings(values: dict[str, str]) -> Settings:
    """Turn lower-case configuration keys into :class:`Settings`; unknown keys are ignored."""
    parsed: dict[str, object] = {}
    for field in fields(Settings):
        key = field.name.replace("_", "")
        if key in values:
            parsed[field.name] = _convert(key, values[key], type(field.default))
    return Settings(**parsed)  # type: ignore[arg-type]


def spelt(key: str) -> str:
    """A setting as the manual writes it, from git's lower-case key (without ``copilot.``) or the
    field's name."""
    key = key.replace("_", "").lower()
    field = next((f.name for f in fields(Settings) if f.name.replace("_", "") == key), key)
    return "copilot." + re.sub(r"_(\w)", lambda found: found[1].upper(), field)


def _convert(key: str, value: str, kind: type) -> object:
    if kind is bool:
        if value.lower() in TRUE | FALSE:
            return value.lower() in TRUE
    elif kind is int:
        number = int(value) if value.isascii() and value.isdecimal() and len(value) < 16 else -1
        if number >= MINIMA.get(key, 0):
            return number
    elif value in CHOICES.get(key, (value,)):
        return value
    if key in CHOICES:
        wanted = f"one of {', '.join(CHOICES[key])}"
    else:
        wanted = "true or false" if kind is bool else f"a whole number from {MINIMA.get(key, 0)}"
    name = spelt(key)
    raise CopilotError(f"{name} is {value!r}, not {wanted}", f"mend it with `git config {name} …`")
