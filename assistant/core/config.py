"""Settings: git configuration ``copilot.*``, with defaults from a committed ``.gitcopilot``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import platformdirs

from git_copilot.assistant.core.setting_values import convert, whole_number
from git_copilot.index.core.types import BOTH, TYPED, ConfigEntry
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import is_trusted
from git_copilot.index.git.user_config import user_config_entries

# Snippets that the model copies from (copy_model.py). In 300 holes of the repositories that its
# weights were fitted on, a token took 1.190 nats with 6 snippets, 1.175 with 24, 1.169 with 40, and
# 1.373 without copying.
NEARBY = 24
APP = "git-copilot"
REPOSITORY_DEFAULTS = ".gitcopilot"
# No person writes a larger file of defaults: it is not parsed.
MAX_DEFAULTS_BYTES = 64 * 1024
# A clone must not choose which model is loaded or which process starts: of the committed file only
# numbers are honoured, within bounds that keep a completion (see UNBOUNDED) and `init` about as
# cheap as with the user's own defaults.
HARMLESS = {
    "maxtokens": (1, 256),
    "prompttokens": (128, 4096),
    "contexttokens": (0, 2048),
    "suffixtokens": (0, 2048),
    "snippets": (0, NEARBY),
    "historycommits": (0, 20_000),
    "latencyms": (100, 5_000),
    "timelimitms": (500, 15_000),
    "confidence": (0, 100),
}
# 0 means no limit here, so a committed file gets the largest one instead.
UNBOUNDED = frozenset({"latencyms", "timelimitms"})
# Configuration that the user or the machine's administrator wrote.
USERS_SCOPES = frozenset({"system", "global", "command"})


@dataclass(frozen=True, slots=True)
class Settings:
    """One field per ``git config copilot.<name>`` (names are case-insensitive there)."""

    model: str = "copilot-135m-v5"
    embedder: str = "copilot-embed-v1"
    # Maximum number of tokens of a completion.
    max_tokens: int = 64
    # Tokens of the whole prompt, and of the snippets and the suffix in it. The prefill of 1,024
    # tokens takes about a second on two cores when nothing is cached.
    prompt_tokens: int = 1024
    context_tokens: int = 512
    suffix_tokens: int = 192
    snippets: int = 6
    # The FIM format: a family of fim.py, none, or found from the model's control tokens (auto).
    fim: str = "auto"
    # The weights that a CPU decodes with: int8, fp16, bf16, fp32, or what suits this machine.
    precision: str = "auto"
    # Milliseconds that an uncached prefill may take; a slow machine gets a shorter prompt. 0: no
    # limit.
    latency_ms: int = 1500
    # Milliseconds that prefill and decoding may take together once the model is loaded; the text
    # decoded by then is the answer. 0: no limit. See complete.PATIENCE.
    time_limit_ms: int = 10_000
    # Token healing: the model decodes the token before the cursor again, with what follows it.
    healing: bool = True
    # Let the model copy from the rest of the file and from other files, if weights were fitted for
    # it: see copy_model.py.
    copying: bool = True
    # Tokens that such a model may read to find a likelier line than the greedy one (0: greedy
    # decoding only): see best_first_search.py.
    alternatives: int = 16
    # The least confidence, in percent, at which a completion is shown; 0: everything is. Only with
    # models that have weights for it: see confidence.py.
    confidence: int = 30
    # A server that speaks OpenAI's /v1/completions, used instead of this machine: its address, the
    # model's name there, and the environment variable with its key.
    endpoint: str = ""
    endpoint_model: str = ""
    endpoint_key: str = ""
    # Send token ids or text; `auto`: ids if the model's tokenizer is on this machine.
    endpoint_prompt: str = "auto"
    # Adapters there: none, known by their name, or loaded when first needed (vLLM).
    endpoint_adapters: str = "none"
    # Time limit of one completion there, in seconds.
    endpoint_timeout: int = 30
    # What editors ask by themselves, not the user: whether it is answered at all; in which languages
    # (as tree-sitter names them) and files (patterns) not; and where not: comments, strings, and
    # behind complete statements.
    automatic: bool = True
    silent_languages: str = ""
    silent_paths: str = ""
    silent_in: str = ""
    # Record shown completions on this machine, to learn from what people made of them.
    feedback: bool = True
    server: bool = True
    server_idle: int = 1800
    # Where the server also answers HTTP: HOST:PORT on the loopback interface, empty for nowhere; and
    # the file with the token that clients show (empty: the default one; none: no token).
    http: str = ""
    http_token_file: str = ""
    history_commits: int = 5000
    # What to train on: holes of commits, of the files as they are, or both; `auto`: both while
    # commits give few holes.
    corpus_source: str = "both"
    # The form of the holes that models are judged by, and of those that adapters learn from: as they
    # were typed, as they stand in the finished file, or half of them each.
    evaluation_form: str = TYPED
    training_form: str = BOTH
    # Train after this number of new mainline commits; 0: never automatically.
    refresh_commits: int = 50
    # Limits of an automatic refresh.
    refresh_holes: int = 1000
    refresh_minutes: int = 20
    # When a refresh in the background starts: now, when the machine is idle, or at night; and what
    # it pauses for: battery, load.
    refresh_when: str = "now"
    refresh_pause: str = "battery"
    # What training starts from: a new adapter (base), or the one in use, with holes that it has not
    # seen (adapter) or these and as many that it has (replay).
    refresh_start: str = "base"
    # What is learnt and how: the default recipe, or a published one (refresh/presets.py).
    refresh_preset: str = "default"
    # Whether the base model's weights are in four bits while an adapter is trained.
    qlora: str = "auto"
    adapter_rank: int = 16
    # Whether an adapter that somebody else pushed must have a signature that git accepts.
    adapter_trust: str = "signed"
    seed: int = 0

    @property
    def snippets_to_find(self) -> int:
        """Number of snippets to retrieve: more than a prompt has room for if the model copies from
        them."""
        copies = self.copying and self.snippets and not self.endpoint
        return max(self.snippets, NEARBY) if copies else self.snippets


def cache_dir() -> Path:
    """The user's cache folder: models and embedders, shared by all repositories."""
    override = os.environ.get("GIT_COPILOT_CACHE")
    return Path(override) if override else platformdirs.user_cache_path(APP)


def log_dir() -> Path:
    """The folder of reports of unexpected errors."""
    return platformdirs.user_log_path(APP)


def load_settings(
    repo: GitRepository | None,
    commit: str = "HEAD",
    warn: Callable[[str], None] | None = None,
) -> Settings:
    """Read the settings of ``repo`` (without one those that hold in all of the user's).

    :param commit: the commit whose ``.gitcopilot`` is read.
    :param warn: gets one line if something of ``.gitcopilot`` is skipped or limited.
    :raises CopilotError: a value in the user's configuration has the wrong type.
    """
    if repo is None:
        return parse_settings({each.key: each.value for each in user_config_entries("copilot")})
    committed, problems = repository_defaults(repo, commit)
    if problems and warn is not None:
        more = f" (and {len(problems) - 1} more: `git copilot doctor`)" if problems[1:] else ""
        warn(f"{problems[0].reason}{more}")
    return parse_settings({**committed, **own_settings(repo)})


def own_settings(repo: GitRepository) -> dict[str, str]:
    """Git's configuration, lower-case key to value. The repository's own part counts in full only
    after ``init``; before that it is limited like ``.gitcopilot``, since it may come from whoever
    packed the repository."""
    known = is_trusted(repo.state_dir)
    values = {}
    for entry in repo.config_entries("copilot"):
        if known or entry.scope in USERS_SCOPES:
            values[entry.key] = entry.value
        else:
            values.update(filter_defaults({entry.key: entry.value})[0])
    return values


def skipped_settings(repo: GitRepository) -> list[ConfigEntry]:
    """The entries that are ignored because the repository is not known yet."""
    if is_trusted(repo.state_dir):
        return []
    near = (e for e in repo.config_entries("copilot") if e.scope not in USERS_SCOPES)
    return [entry for entry in near if entry.key not in HARMLESS]


@dataclass(frozen=True, slots=True)
class Ignored:
    """A part of a committed ``.gitcopilot`` that is skipped or limited, and the remedy."""

    reason: str
    remedy: str = f"edit and commit {REPOSITORY_DEFAULTS}"


def repository_defaults(
    repo: GitRepository, commit: str = "HEAD"
) -> tuple[dict[str, str], list[Ignored]]:
    """The honoured part of the committed ``.gitcopilot``, lower-case key to value within its
    bounds, and the ignored part. It never stops a command: its author is not the user."""
    data = repo.read_prefix(f"{commit}:{REPOSITORY_DEFAULTS}", MAX_DEFAULTS_BYTES + 1)
    if data is None:
        return {}, []
    if len(data) > MAX_DEFAULTS_BYTES:
        limit = MAX_DEFAULTS_BYTES // 1024
        return {}, [Ignored(f"{REPOSITORY_DEFAULTS} is larger than {limit} KiB and is skipped")]
    given = repo.parse_config(data, "copilot")
    if given is None:
        return {}, [Ignored(f"{REPOSITORY_DEFAULTS} is not in git-config syntax and is skipped")]
    return filter_defaults(given)


def filter_defaults(given: dict[str, str]) -> tuple[dict[str, str], list[Ignored]]:
    """Split committed values, by lower-case key, into those that are honoured, each within its
    bounds, and those that are skipped or limited. Pure."""
    honoured, ignored = {}, []
    for key, value in given.items():
        number = whole_number(value)
        if key not in HARMLESS:
            known = any(key == f.name.replace("_", "") for f in fields(Settings))
            why = "counts only in your own configuration" if known else "is not a setting"
        elif number is None:
            why = f"is skipped: {value[:40]!r} is not a whole number"
        else:
            low, high = HARMLESS[key]
            held = high if key in UNBOUNDED and number == 0 else min(max(number, low), high)
            honoured[key] = str(held)
            if held == number:
                continue
            why = f"is limited to {held}"
        name = display_name(key)
        remedy = f"git config -f {REPOSITORY_DEFAULTS} --unset {name}"
        ignored.append(Ignored(f"{REPOSITORY_DEFAULTS}: {name} {why}", remedy))
    return honoured, ignored


def parse_settings(values: dict[str, str]) -> Settings:
    """Turn lower-case configuration keys into :class:`Settings`; unknown keys are ignored."""
    parsed: dict[str, object] = {}
    for field in fields(Settings):
        key = field.name.replace("_", "")
        if key in values:
            kind = type(field.default)
            parsed[field.name] = convert(key, values[key], kind, display_name(key))
    return Settings(**parsed)  # type: ignore[arg-type]


def display_name(key: str) -> str:
    """The name of a setting as in the manual, from git's lower-case key (without ``copilot.``) or
    the field's name."""
    key = key.replace("_", "").lower()
    field = next((f.name for f in fields(Settings) if f.name.replace("_", "") == key), key)
    return "copilot." + re.sub(r"_(\w)", lambda found: found[1].upper(), field)
