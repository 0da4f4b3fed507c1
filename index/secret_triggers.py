"""The prefilter of the secret scan: which lines of a text which detector must see. Pure.

A detector of detect-secrets takes microseconds to milliseconds for a line, and there are two
dozen. Each can only find something on a line that has one of its triggers: a literal or a
simpler pattern. Looking for those in the whole text at once costs about a microsecond a line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Table = tuple[tuple[str, tuple[str, ...]], ...]

# Literals of the text without case.
_FOLDED_LITERALS: Table = (
    ("secret", ("KeywordDetector", "IbmCosHmacDetector")),
    ("passw", ("KeywordDetector",)),
    ("pwd", ("KeywordDetector",)),
    ("contrase", ("KeywordDetector",)),
    ("hooks.slack.com/", ("SlackDetector",)),
    ("xox", ("SlackDetector",)),
    ("softlayer", ("SoftlayerDetector",)),
    ("cloudant.com", ("CloudantDetector",)),
)


def _behind(word: str, owners: str) -> str:
    """``word`` behind one of ``owners``, with or without an underscore; written with the word
    first, because a search for a literal is fast."""
    places = (f"(?<={owner}{mark}{word})" for owner in owners.split() for mark in ("", "_"))
    return f"{word}(?:{'|'.join(places)})"


_KEY_OWNERS = "api auth service account db database priv private client"
_GIVEN = r"[\"']?\]? *(?:=|:| )[=:> ]*[\"']?"
# Patterns of the text without case.
_FOLDED_PATTERNS: Table = (
    (r"['\"][0-9a-z/+]{40}['\"]", ("AWSKeyDetector",)),
    (_behind("key", _KEY_OWNERS), ("KeywordDetector",)),
    (_behind("pass", "db database key"), ("KeywordDetector",)),
    *(
        (rf"{word}{_GIVEN}[\w-]{{44}}", ("IbmCloudIamDetector",))
        for word in ("key", "pwd", "pass(?:word)?", "token")
    ),
    (r"cl(?:ou(?:dant)?)?[_-]?(?:api)?[_-]?(?:key|pw|pass|token)", ("CloudantDetector",)),
    (r"sl[_-]?(?:api)?[_-]?(?:key|pwd|pass|token)", ("SoftlayerDetector",)),
)
_LITERALS: Table = (
    ("AccountKey=", ("AzureStorageKeyDetector",)),
    ("T3BlbkFJ", ("OpenAIDetector",)),
    ("PRIVATE KEY", ("PrivateKeyDetector", "KeyFiles")),
    ("PuTTY-User-Key-File-", ("PrivateKeyDetector", "KeyFiles")),
    ("pypi-AgE", ("PypiTokenDetector",)),
    ("sq0csp-", ("SquareOAuthDetector",)),
    ("k_live_", ("StripeDetector",)),
    ("_authToken", ("NpmDetector",)),
    ("eyJ", ("JwtTokenDetector",)),
    ("SG.", ("SendGridDetector",)),
    ("GR1348941", ("GitLabTokenDetector",)),
    ("github_pat_", ("NewerTokens",)),
    ("AIza", ("NewerTokens",)),
    ("npm_", ("NewerTokens",)),
    ("hf_", ("NewerTokens",)),
    ("sk-", ("NewerTokens",)),
)
_PATTERNS: Table = (
    (r"-us[0-9]", ("MailchimpDetector",)),
    (r"gh[pours]_[A-Za-z0-9_]{36}", ("GitHubTokenDetector",)),
    (r"gl[a-z]{2,5}-[A-Za-z0-9_-]{20}", ("GitLabTokenDetector",)),
    (r"A(?:3T[A-Z0-9]|BIA|CCA|KIA|SIA)[0-9A-Z]{16}", ("AWSKeyDetector",)),
    (r"A(?:KC|P[\dA-F])[a-zA-Z0-9]{8}", ("ArtifactoryDetector",)),
    (r"[AS][CK][a-z0-9]{32}", ("TwilioKeyDetector",)),
    (r"://[^:/\s]+:[^/\s]+@", ("BasicAuthDetector",)),
    (r":[0-9A-Za-z_-]{35}", ("TelegramBotTokenDetector",)),
    (r"\.[\w-]{6}\.[\w-]{27}", ("DiscordBotTokenDetector",)),
    # So many characters, all different, have the entropy that is asked for.
    (r"['\"][0-9a-zA-Z+/\\_=-]{23,}['\"]", ("Base64HighEntropyString",)),
    (r"['\"][0-9a-fA-F]{9,}['\"]", ("HexHighEntropyString",)),
)


@dataclass(frozen=True, slots=True)
class _Trigger:
    """``find`` gives the first place from an offset on, or -1."""

    find: Callable[[str, int], int]
    detectors: tuple[str, ...]
    folded: bool


def _literal(text: str) -> Callable[[str, int], int]:
    return lambda where, start: where.find(text, start)


def _pattern(pattern: str) -> Callable[[str, int], int]:
    search = re.compile(pattern).search

    def find(where: str, start: int) -> int:
        match = search(where, start)
        return match.start() if match else -1

    return find


def _compiled(
    table: Iterable[tuple[str, tuple[str, ...]]],
    make: Callable[[str], Callable[[str, int], int]],
    *,
    folded: bool,
) -> tuple[_Trigger, ...]:
    return tuple(_Trigger(make(text), detectors, folded) for text, detectors in table)


_TRIGGERS = (
    *_compiled(_FOLDED_LITERALS, _literal, folded=True),
    *_compiled(_FOLDED_PATTERNS, _pattern, folded=True),
    *_compiled(_LITERALS, _literal, folded=False),
    *_compiled(_PATTERNS, _pattern, folded=False),
)
TRIGGERED = frozenset(name for trigger in _TRIGGERS for name in trigger.detectors)


def _fold(text: str) -> str:
    """The text as regular expressions see it that ignore case: to them both Turkish i's are an
    i. Lines may get another length; their number stays."""
    if not text.isascii():
        text = text.replace("\u0130", "i").replace("\u0131", "i")
    return text.casefold()


def triggered_lines(text: str) -> dict[int, set[str]]:
    """The lines (1-based, ended by ``\\n``) that detectors must see, and which detectors."""
    folded = _fold(text)
    found: dict[int, set[str]] = {}
    for trigger in _TRIGGERS:
        where = folded if trigger.folded else text
        line, counted, position = 1, 0, trigger.find(where, 0)
        while position >= 0:
            line += where.count("\n", counted, position)
            found.setdefault(line, set()).update(trigger.detectors)
            counted = where.find("\n", position)
            if counted < 0:
                break
            position = trigger.find(where, counted)
    return found
