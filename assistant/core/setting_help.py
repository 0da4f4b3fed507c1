"""A line of help and a unit for each setting, for ``git copilot config`` and shell completion."""

from __future__ import annotations

from dataclasses import dataclass, fields

from git_copilot.assistant.core.config import Settings, display_name
from git_copilot.assistant.core.setting_values import CHOICES

# The action of the secrets hook (hooks.check), which is no field of Settings.
SECRETS_DEFAULT, SECRETS_CHOICES = "warn", ("warn", "refuse")
# Field of Settings to (unit, help). The manual has the details.
_HELP = {
    "model": ("", "Model that completes: a name of `git copilot model list`, a folder or hub name"),
    "embedder": ("", "Model that embeds chunks for search"),
    "max_tokens": ("tokens", "Maximum length of a completion"),
    "prompt_tokens": ("tokens", "Size of the prompt"),
    "context_tokens": ("tokens", "Maximum size of the snippets in the prompt"),
    "suffix_tokens": ("tokens", "Maximum size of the text after the cursor in the prompt"),
    "snippets": ("snippets", "Maximum number of snippets in a prompt"),
    "fim": ("", "Fill-in-the-middle format of the model"),
    "precision": ("", "Number format for decoding on a CPU"),
    "latency_ms": ("ms", "Time limit for reading an uncached prompt; 0: none"),
    "time_limit_ms": ("ms", "Time limit for a whole completion; 0: none"),
    "healing": ("", "Token healing at the cursor"),
    "copying": ("", "Let the model copy from text outside the prompt"),
    "alternatives": ("tokens", "Tokens read to find a likelier line; 0: greedy"),
    "confidence": ("%", "Least confidence at which a completion is shown; 0: show everything"),
    "endpoint": ("", "URL of an OpenAI-compatible server that completes instead"),
    "endpoint_model": ("", "The model's name at the endpoint"),
    "endpoint_key": ("", "Environment variable that holds the endpoint's key"),
    "endpoint_prompt": ("", "Send the endpoint token ids or text"),
    "endpoint_adapters": ("", "How the endpoint loads adapters"),
    "endpoint_timeout": ("s", "Time limit for one request to the endpoint"),
    "automatic": ("", "Answer what editors ask by themselves; false: only what the user asks for"),
    "silent_languages": ("", "Languages in which nothing is proposed by itself"),
    "silent_paths": ("", "Patterns of files in which nothing is proposed by itself"),
    "silent_in": ("", "Where nothing is proposed by itself: comments, strings, statements"),
    "feedback": ("", "Record locally what became of completions"),
    "server": ("", "Let `complete` start a server that keeps the model loaded"),
    "server_idle": ("s", "Idle time after which the server stops, or with HTTP unloads its models"),
    "http": ("", "HOST:PORT where the server also answers HTTP, on the loopback interface"),
    "http_token_file": ("", "File with the token that HTTP clients show; none: no token"),
    "history_commits": ("commits", "Number of commits to mine, newest first"),
    "corpus_source": ("", "What adapters are trained on"),
    "evaluation_form": ("", "Form of the holes that models are judged by"),
    "training_form": ("", "Form of the holes that adapters learn from"),
    "refresh_commits": ("commits", "New commits after which a refresh starts; 0: never"),
    "refresh_holes": ("holes", "Maximum number of training examples of an automatic refresh"),
    "refresh_minutes": ("minutes", "Time limit of an automatic refresh"),
    "refresh_when": ("", "When a refresh in the background starts"),
    "refresh_pause": ("", "What a refresh in the background pauses for: battery, load"),
    "refresh_start": ("", "What training starts from: a new adapter, or the one in use"),
    "refresh_preset": ("", "The recipe of a refresh"),
    "qlora": ("", "Train with the base model's weights in four bits"),
    "adapter_rank": ("", "Rank of new LoRA adapters"),
    "adapter_trust": ("", "Which adapters `adapter pull` installs: signed ones, or any"),
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
    """A value in the syntax of git's configuration."""
    return str(value).lower() if isinstance(value, bool) else str(value)
