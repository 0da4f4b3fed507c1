"""Filters false positives among detected secrets. Pure, standard library only.

The functions follow detect-secrets' filters: parameters by name, true if the text is not a secret.
They replace two of its filters, which drop a whole line because of one call or id on it, and add
cases that its users usually keep in baselines: placeholders, digests, plain words.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_ENTROPY = frozenset({"Base64HighEntropyString", "HexHighEntropyString"})
_NAMED = frozenset({"KeywordDetector", "BasicAuthDetector"})
# Detectors whose patterns also match plain words; the others are specific enough.
_WORDY = _ENTROPY | _NAMED | {"ArtifactoryDetector", "DiscordBotTokenDetector"}
# Shorter ones are words of a test ("tiger", "pw"), or too weak to justify a gap in the code.
MIN_PASSWORD = 6
# Mean run of letters between digits, signs and changes of case: words have more, random text less.
MEAN_WORD = 2.5
MAX_DIGITS_OF_WORDS = 0.12
MAX_RUN = 16

# Names whose values are secrets, for values without a form of their own.
SECRET_NAME = re.compile(
    r"secret|token(?!iz)|passw|passphrase|pwd|auth(?!or)|credential|bearer|private|"
    r"key(?![a-z])|salt|session|cookie",
    re.IGNORECASE,
)
# The name that a value is assigned to, up to the value's quote.
_NAME = re.compile(r"([\w.-]+)[\"'`\]]*\s*(?:=>|[:=(]+)\s*\w?[\"'`]?$")
_IDENTITY = re.compile(r"(?:^|[^a-zA-Z])(?:my|user|MY|USER)?(?:id|ID)s?$|[a-z]I[dD]s?$")
_DIGEST = re.compile(
    r"(?:uuid|guid|oid|sha-?\d*|hash|hashes|digest|etag|checksum|md5|integrity|fingerprint|"
    r"commit|revision|version|nonce|opaque|boundary)$",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(r"\{[^{}]*\}|<[^<>]*>|%[sdr(]|\$[\w({]|\.\.\.|…|\*\*\*|#\{")
_PATH = re.compile(r"(?:\w[\w+.-]*:/|\.{0,2}/|~/)|[\w./-]*\.[a-z]{2,4}$")
_CASE = re.compile(r"[A-Z]?(?:(?![A-Z])[^\W\d_])+|[A-Z]+")
_REFERENCE = re.compile(
    r"[\[({<>]|::|->|^(?:true|false|null|none|nil|self|this)\b|^[a-z_]\w*(?:\.[a-z_]\w*)+[,;]?$",
    re.IGNORECASE,
)
# Placeholder words for secrets, and names of algorithms and formats.
_PLACEHOLDERS = (
    "a an and any app api argon auth abc access account admin alice aes apple "
    "bar base basic baz bcrypt bearer blowfish bob bogus "
    "change changed changeme cipher client code cookie credential credentials curve custom "
    "db default demo der digest dev dummy "
    "ecdsa ed empty enter env example examples "
    "facebook fake field file fixme foo form format "
    "generate generated git github gitlab google guest "
    "hash hashed hex hidden hmac host http https "
    "in incorrect input insert invalid is "
    "jane joe john jwt "
    "key keys kdf "
    "label ldap letmein local localhost login long lorem "
    "master md me missing mock my mysql "
    "name new no none not null "
    "oauth of old one or other "
    "page param pass passphrase passwd password passwords pbkdf pem pgp ph pkcs placeholder plain "
    "postgres private prod production project provider public put pw pwd "
    "qux quux qwerty "
    "random raw real redacted redis replace required root rsa "
    "saml sample scrypt secret secrets secure secured server service session set sha "
    "some spam ssh ssl staging step string strong super supersecret "
    "td temp template test testing tests text the this tls todo token top two twitter type "
    "unknown unset url user username users utf uri "
    "v val valid value var version "
    "with word wrong xxx "
    "you your yours zzz"
)
_PLACEHOLDER = re.compile(
    rf"(?:(?>{'|'.join(sorted(_PLACEHOLDERS.split(), key=lambda w: (-len(w), w)))})|x{{2,}}|[\W\d_])*+"
)


def _name(plugin: object) -> str:
    return type(plugin).__name__


def _plain(secret: str, plugin: object) -> str:
    """A password without URL quoting."""
    return unquote(secret) if _name(plugin) in _NAMED else secret


def _before(secret: str, line: str) -> str:
    """The line up to the secret; the whole line if it does not contain the secret literally."""
    return line.partition(secret)[0]


def is_mask(secret: str) -> bool:
    """Whether nothing but ``x`` and ``0`` is left, as after redaction."""
    return not re.search(r"[^\W_xX0]", secret)


def _assigned_name(secret: str, line: str) -> str:
    """The name that the secret is assigned to; empty if there is none."""
    match = _NAME.search(_before(secret, line))
    return match[1] if match else ""


def is_named_id(secret: str, line: str, plugin: object) -> bool:
    """Whether the value's name says that it is an identifier."""
    kind = _name(plugin)
    if kind == "KeywordDetector" or kind in _ENTROPY:
        owner = _assigned_name(secret, line)
        if _IDENTITY.search(owner):
            return True
        return kind in _ENTROPY and bool(_DIGEST.search(owner)) and not SECRET_NAME.search(owner)
    return False


def is_digest(secret: str, line: str, plugin: object) -> bool:
    """Whether it is an object id or a checksum: hexadecimal text without a secret's name."""
    if _name(plugin) == "HexHighEntropyString":
        return not SECRET_NAME.search(_assigned_name(secret, line) or _before(secret, line))
    return _name(plugin) == "Base64HighEntropyString" and bool(re.match(r"sha\d+[-:=]", secret))


def is_words(secret: str, plugin: object) -> bool:
    """Whether it is plain words, identifiers or paths: long runs of letters, few digits or none."""
    kind = _name(plugin)
    if kind not in _WORDY or kind == "HexHighEntropyString":
        return False
    secret = _plain(secret, plugin)
    runs = _CASE.findall(secret)
    letters, digits = sum(map(len, runs)), sum(c.isdigit() for c in secret)
    if not letters:
        return kind in _NAMED
    if kind == "Base64HighEntropyString" and max(map(len, runs)) >= MAX_RUN:
        return True  # an alphabet, most often
    most = 0.0 if kind in _NAMED else MAX_DIGITS_OF_WORDS
    return letters / len(runs) >= MEAN_WORD and digits <= most * (letters + digits)


def is_placeholder(secret: str, plugin: object) -> bool:
    """Whether it is a template, or consists of placeholder words only."""
    if _name(plugin) not in _WORDY:
        return False
    secret = _plain(secret, plugin)
    if _name(plugin) in _NAMED and _TEMPLATE.search(secret):
        return True
    return only_placeholders(secret)


def only_placeholders(text: str) -> bool:
    """Whether ``text`` consists of placeholder words, digits and signs only."""
    return bool(_PLACEHOLDER.fullmatch(text.lower()))


def is_no_password(secret: str, line: str, plugin: object) -> bool:
    """Whether a value at a secret's name cannot be one: prose, a path, code, a short word."""
    kind = _name(plugin)
    if kind not in _NAMED:
        return False
    before = _before(secret, line)
    secret = _plain(secret, plugin)
    if kind == "BasicAuthDetector":
        return len(secret) < MIN_PASSWORD and not (len(secret) > 3 and re.search(r"\d", secret))
    if before[-1:] in ("'", '"', "`"):
        if len(secret.split()) > 2:
            return True
    else:
        secret, _, rest = secret.strip().partition(" ")
        if _REFERENCE.search(secret) or not re.search(r"\d", secret):
            return True
        # Only in a shell may an unquoted value be followed by anything but a comment.
        if not before.endswith("=") and rest and rest.lstrip()[0] not in "#;/&|":
            return True
        secret = secret.rstrip(",;")
    return len(secret) < MIN_PASSWORD or bool(_PATH.match(secret))
