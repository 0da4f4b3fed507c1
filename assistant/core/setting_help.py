"""One line and a unit for each setting, for ``git copilot config`` and shell completion. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields

from git_copilot.assistant.core.config import CHOICES, Settings, display_name

# The action of the secrets hook (hooks.check), which is no field of Settings.
SECRETS_DEFAULT, SECRETS_CHOICES = "warn", ("warn", "refuse")
# Field of Settings to (unit, what it does). The manual says more.
_HELP = {
    "model": ("", "Model that completes: a name of `git copilot model list`, a folder or hub name"),
    "embedder": ("", "Model that embeds chunks for search"),
    "max_tokens": ("tokens", "Longest completion"),
    "prompt_tokens": ("tokens", "Size of the prompt"),
    "context_tokens": ("tokens", "Share of the prompt that snippets may take"),
    "suffix_tokens": ("tokens", "Share of the prompt for text behind the cursor"),
    "snippets": ("snippets", "Most snippets in a prompt"),
    "fim": ("", "Fill-in-the-middle format of the model"),
    "precision": ("", "Number format for decoding on a CPU"),
    "latency_ms": ("ms", "Time to read an uncached prompt; 0: no limit"),
    "time_limit_ms": ("ms", "Time for a whole completion; 0: no limit"),
    "healing": ("", "Token healing at the cursor"),
    "copying": ("", "Let the model copy from text that the prompt does not show"),
    "alternatives": ("tokens", "Tokens read to find a likelier line; 0: greedy"),
    "endpoint": ("", "URL of an OpenAI-compatible server that completes instead"),
    "endpoint_model": ("", "The model's name at the endpoint"),
    "endpoint_key": ("", "Environment variable that holds the endpoint's key"),
    "endpoint_prompt": ("", "Send the endpoint token ids or text"),
    "endpoint_adapters": ("", "How the endpoint knows adapters"),
    "endpoint_timeout": ("s", "Time for one request to the endpoint"),
    "feedback": ("", "Record here what became of completions"),
    "server": ("", "Let `complete` start a server that keeps the model loaded"),
    "server_idle": ("s", "Idle time after which the server stops"),
    "history_commits": ("commits", "Commits that are mined, newest first"),
    "corpus_source": ("", "What adapters are trained on"),
    "refresh_commits": ("commits", "New commits after which a refresh starts; 0: never"),
    "refresh_holes": ("holes", "Most training examples of an automatic refresh"),
    "refresh_minutes": ("minutes", "Time limit of an automatic refresh"),
    "adapter_rank": ("", "Rank of new LoRA adapters"),
    "seed": ("", "Seed of training and sampling"),
}


@dataclass(frozen=True, slots=True)
class SettingHelp:
    """``name`` as the manual spells it, ``key`` in git's lower case without ``copilot.``."""

    key: str
    name: str
    default: str
    unit: str
    text: str
    choices: tuple[str, ...] = ()


def all_settings() -> list[SettingHelp]:
    """Every setting, in the order of :class:`Settings`."""
    found = []
    for field in fields(Settings):
        key = field.name.replace("_", "")
        unit, text = _HELP[field.name]
        choices = CHOICES.get(key, ("true", "false") if field.type == "bool" else ())
        found.append(
            SettingHelp(key, display_name(key), as_text(field.default), unit, text, tuple(choices))
        )
    action = "What the hook copilot-secrets does when it finds a secret"
    found.append(
        SettingHelp("secrets", "copilot.secrets", SECRETS_DEFAULT, "", action, SECRETS_CHOICES)
    )
    return found


def as_text(value: object) -> str:
    """A value as git's configuration has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
