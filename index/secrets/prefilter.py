"""Prefilter of the secret scan: selects the lines that each detector must check. Pure.

A detector of detect-secrets takes microseconds to milliseconds per line, and there are two dozen.
Each can find something only on a line with one of its triggers: a literal or a simpler pattern.
Searching the whole text for triggers costs about a microsecond per line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from git_copilot.index.secrets.contexts import TOKEN_PREFIXES

Table = tuple[tuple[str, tuple[str, ...]], ...]
Gated = tuple[tuple[str, str, tuple[str, ...]], ...]
# This project's own detectors: names (names.py, blocks.py), places (contexts.py) and forms of
# tokens (also contexts.py).
NAMED, PLACES, TOKENS, MANIFESTS = "Named", "Places", "Tokens", "Manifests"
OURS = frozenset({NAMED, PLACES, TOKENS, MANIFESTS})

# Parts of secrets' names, and of their contexts, that detect-secrets does not search for.
_NAMES = (
    "passphrase", "passcode", "token", "webhook", "mnemonic", "seed", "pepper",
    "community", "connectionstring", "connection_string", "dsn", "psk", "salt", "storepass",
    "keypass", "requirepass", "masterauth", "-pass ", "_pass ",
)  # fmt: skip
_PLACES = (
    "basic ", "--user", "mysql", "pass:", "cred", "twilio(", "@tcp(",
    "@unix(", "sudo -s", "openssl enc", "http -a", "vault login", "securestring", "7z",
    "net user", "net use ", "zip -", "smb", "mongo", "lftp", "mariadb",
    "sshpass", "redis-cli", "login", "sqlcmd", "ldap", "mfa", "2fa",
    "two_factor", "pbkdf2", "scrypt", "bcrypt", "{sha", "{ssha", "identified ",
    "connect(", "connection(", "pdo(", "accountkey=", "accesskey=", "sig=", "dockerc",
    "-key-data", "keystore", "akia", "fernet", "hmac", "aesgcm", "aes.new",
    "cipheriv",
)  # fmt: skip
# Case-insensitive literals.
_FOLDED_LITERALS: Table = (
    ("secret", ("KeywordDetector", "IbmCosHmacDetector", NAMED, PLACES)),
    ("passw", ("KeywordDetector", NAMED, PLACES)),
    ("pwd", ("KeywordDetector", NAMED, PLACES)),
    ("contrase", ("KeywordDetector", NAMED)),
    ("credential", (NAMED, PLACES)),
    ("bearer", (NAMED, PLACES)),
    ("cookie", (NAMED, PLACES)),
    ("jwt", (NAMED, PLACES)),
    ("otp", (NAMED, PLACES)),
    ("kind: secret", (MANIFESTS,)),
    ("hooks.slack.com/", ("SlackDetector",)),
    ("xox", ("SlackDetector",)),
    ("softlayer", ("SoftlayerDetector",)),
    ("cloudant.com", ("CloudantDetector",)),
    *((text, (NAMED,)) for text in _NAMES),
    *((text, (PLACES,)) for text in _PLACES),
)


def _preceded_by(word: str, owners: str) -> str:
    """A pattern for ``word`` after one of ``owners``, with or without an underscore. The word comes
    first in it, because searching for a literal is fast."""
    places = (f"(?<={owner}{mark}{word})" for owner in owners.split() for mark in ("", "_"))
    return f"{word}(?:{'|'.join(places)})"


_KEY_OWNERS = "api auth service account db database priv private client"
_MORE_OWNERS = (
    "secret access encryption encrypt signing sign master shared app deploy license licence storage "
    "subscription ssh preshared aes hmac jwt cipher crypto data unseal consumer server webhook session "
    "cookie admin root rest access- api- auth- secret- private- shared- master- encryption- signing-"
)
# The gate of patterns that need a word of at least LONG_WORD characters.
LONG, LONG_WORD = "-", 34
_GIVEN = r"[\"']?\]? *(?:=|:| )[=:> ]*[\"']?"
# Case-insensitive patterns, each with its gate: a part of a word that must occur (empty: none).
_FOLDED_PATTERNS: Gated = (
    (r"pw[\"']?\]?\s*[=: ]", "pw", (NAMED,)),
    (r"auth(?!ors?\b|ored)", "auth", (NAMED, PLACES)),
    (_preceded_by("key", _KEY_OWNERS), "key", ("KeywordDetector", NAMED)),
    (_preceded_by("key", _MORE_OWNERS), "key", (NAMED,)),
    (_preceded_by("pass", "db database key"), "pass", ("KeywordDetector", NAMED)),
    (r"pass[\"']?\]?\s*(?:[=:,]|$| [\"']|[\"']>|>|_|-)", "pass", (NAMED,)),
    *(
        (rf"{word}{_GIVEN}[\w-]{{44}}", gate, ("IbmCloudIamDetector",))
        for word, gate in (
            ("key", "key"),
            ("pwd", "pwd"),
            ("pass(?:word)?", "pass"),
            ("token", "token"),
        )
    ),
    (r"cl(?:ou(?:dant)?)?[_-]?(?:api)?[_-]?(?:key|pw|pass|token)", "cl", ("CloudantDetector",)),
    (r"sl[_-]?(?:api)?[_-]?(?:key|pwd|pass|token)", "sl", ("SoftlayerDetector",)),
    # Addresses, hashes of passwords, lines of .htpasswd and .pgpass.
    (r"\$(?:apr1|[1567y]|gy|2[abxy]|scrypt|pbkdf2|argon2)\w*\$", "", (PLACES,)),
    (r":(?:(?:\d{2,5}|\*):[^:\n]+:[^:\n]+:|[\w./]{13}$)", "", (PLACES,)),
    (r"-u ?[\"']?[\w.@+-]+:", "curl", (PLACES,)),
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
_PATTERNS: Gated = (
    (r"-us[0-9]", "us", ("MailchimpDetector",)),
    (r"gh[pours]_[A-Za-z0-9_]{36}", "gh", ("GitHubTokenDetector", TOKENS)),
    (r"cio[A-Za-z0-9]{32}", LONG, (TOKENS,)),
    (r"pat[A-Za-z0-9]{14}\.", "pat", (TOKENS,)),
    (r"[Ff]ly_?v1[ _]", "fly", (TOKENS,)),
    (r"gl[a-z]{2,5}-[A-Za-z0-9_-]{20}", "gl", ("GitLabTokenDetector",)),
    *(
        (name, name.lower(), ("AWSKeyDetector",))
        for name in ("A3T", "ABIA", "ACCA", "AKIA", "ASIA")
    ),
    (r"A(?:KC|P[\dA-F])[a-zA-Z0-9]{8}", "", ("ArtifactoryDetector",)),
    (r"[AS][CK][a-z0-9]{32}", LONG, ("TwilioKeyDetector",)),
    (r"://(?:[^:/\s]*:[^/\s]+|[\w-]{20,})@", "", ("BasicAuthDetector", PLACES)),
    (r":[0-9A-Za-z_-]{35}", "", ("TelegramBotTokenDetector",)),
    (r"\.[\w-]{6}\.[\w-]{27}", "", ("DiscordBotTokenDetector",)),
    # This number of distinct characters is needed for the entropy threshold. (The long s and the
    # kelvin sign count as letters when case is ignored.)
    (
        r"['\"](?:[0-9a-fA-F]{9,}|[0-9a-zA-Z+/\\_=\u017f\u212a-]{23,})['\"]",
        "",
        ("HexHighEntropyString", "Base64HighEntropyString", "AWSKeyDetector"),
    ),
)


@dataclass(frozen=True, slots=True)
class _Trigger:
    """``find`` returns the first match from an offset on, or -1. A text matches only if one of its
    words contains ``gate``."""

    find: Callable[[str, int], int]
    detectors: tuple[str, ...]
    folded: bool
    gate: bytes


def _literal(text: str) -> Callable[[str, int], int]:
    return lambda where, start: where.find(text, start)


def _pattern(pattern: str) -> Callable[[str, int], int]:
    search = re.compile(pattern, re.MULTILINE).search

    def find(where: str, start: int) -> int:
        match = search(where, start)
        return match.start() if match else -1

    return find


def _literals(table: Table, *, folded: bool) -> Iterator[_Trigger]:
    for text, detectors in table:
        words = re.findall(r"[a-z0-9_]+", text.lower())
        gate = max(words, key=len).encode() if words else b""
        yield _Trigger(_literal(text), detectors, folded, gate if len(gate) > 1 else b"")


def _patterns(table: Gated, *, folded: bool) -> Iterator[_Trigger]:
    for text, gate, detectors in table:
        yield _Trigger(_pattern(text), detectors, folded, gate.encode())


_TRIGGERS = (
    *_literals(_FOLDED_LITERALS, folded=True),
    *_patterns(_FOLDED_PATTERNS, folded=True),
    *_literals(_LITERALS, folded=False),
    *_literals(tuple((text, (TOKENS,)) for text in TOKEN_PREFIXES), folded=False),
    *_patterns(_PATTERNS, folded=False),
)
TRIGGERED = frozenset(name for trigger in _TRIGGERS for name in trigger.detectors)
_GATES = tuple(sorted({trigger.gate for trigger in _TRIGGERS} - {b"", LONG.encode()}))
# Translation to words: lower-cased ASCII letters, digits, underscores and non-ASCII bytes stay.
_WORDS = bytes(
    b if b >= 128 or chr(b).isalnum() or b == 95 else 32 for b in bytes(range(256)).lower()
)
# Cache of words: those without any gate, and the gates of the others. Most words of a file also
# occur in other files.
MAX_KNOWN, MAX_KNOWN_WORD = 1 << 16, 40
_ungated_words: set[bytes] = set()
_gates_by_word: dict[bytes, frozenset[bytes]] = {}


def _fold(text: str) -> str:
    """Fold the text as case-insensitive regular expressions do, for which both Turkish i's are an
    i. Lines may change their length, but not their number."""
    if not text.isascii():
        text = text.replace("\u0130", "i").replace("\u0131", "i")
    return text.casefold()


def _open_gates(folded: str) -> set[bytes]:
    """The gates that occur in some word of the text."""
    words = set(folded.encode("utf-8", "surrogatepass").translate(_WORDS).split()) - _ungated_words
    found: set[bytes] = {b""}
    new = []
    for word in words:
        gates = _gates_by_word.get(word)
        if gates is None:
            new.append(word)
        else:
            found |= gates
    if new:
        found |= _classify_new_words(new)
    return found


def _classify_new_words(words: list[bytes]) -> set[bytes]:
    """The gates of new words, which are added to the cache."""
    if len(_ungated_words) + len(_gates_by_word) > MAX_KNOWN:
        _ungated_words.clear()
        _gates_by_word.clear()
    joined = b"\n".join(words)
    found = {gate for gate in _GATES if gate in joined}
    dull = []
    for word in words:
        gates: frozenset[bytes] = frozenset(gate for gate in found if gate in word)
        if len(word) >= LONG_WORD:
            gates |= {LONG.encode()}
            found.add(LONG.encode())
        if len(word) > MAX_KNOWN_WORD:
            continue
        if gates:
            _gates_by_word[word] = gates
        else:
            dull.append(word)
    _ungated_words.update(dull)
    return found


def triggered_lines(text: str) -> dict[int, set[str]]:
    """The lines (1-based, separated by ``\\n``) that must be checked, each with its detectors."""
    folded = _fold(text)
    gates = _open_gates(folded)
    found: dict[int, set[str]] = {}
    for trigger in _TRIGGERS:
        if trigger.gate not in gates:
            continue
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
