"""Decides whether a value next to the name of a secret may be one. Pure, standard library only.

Secrets have no fixed form: a password may be a word. So a value counts unless it is plainly
something else: a reference to the source of the secret, a type, a placeholder, prose, the name of a
field."""

from __future__ import annotations

import re
from urllib.parse import unquote

from git_copilot.index.secrets.false_positives import is_mask, only_placeholders

# A reference to a variable, a function, a file or a secret store; a template.
_REFERENCE = re.compile(
    r"""\$[\w({\[]|\$\$|%[\w-]+%?$|%\(|\{\{|\{[\w.:!\[\]"'-]*\}|<[^<>]*>|\[[\w -]*\]$|\#\{|<%|\{%|\*{3,}|\.{3}|…
    |@[\w.]+@|@?(?:Microsoft\.KeyVault|secret|env|lookup|getenv|file|path)\s*[(:]|%[sdrv]
    |(?:os|process|System|Deno|import\.meta|settings|config|self|this|args|options|secrets|var|local
       |data|module|vault|aws|ssm|arn|op|keyring|sm|ref)(?:\.|:(?!/)|:/|\[|->|::)
    |^!\w+[ ]""",
    re.VERBOSE,
)
_TYPES = frozenset({
    "str", "string", "bytes", "text", "int", "integer", "number", "bool", "boolean", "true",
    "false", "none", "null", "nil", "undefined", "any", "object", "array", "list", "dict",
    "map", "optional", "char", "varchar", "uuid", "date", "datetime", "void", "secretstr",
    "float", "yes", "no", "on", "off", "required", "readonly", "writeonly",
    "password", "binary", "auto", "default", "unknown", "ask", "prompt", "manual", "encrypted",
    "plaintext", "always", "never", "disabled", "enabled", "file", "inherit", "missing",
    "absent", "present", "stdin", "environment", "kerberos", "negotiate", "ntlm", "digest",
    "basic", "bearer", "jwt", "oauth", "oauth2", "oidc", "saml", "ldap", "hidden", "visible",
    "blank", "n/a", "tbd", "masked", "removed", "deleted", "md5", "sha1", "sha256", "sha512",
    "crypt", "bcrypt", "argon2", "scrypt", "hmac", "totp", "hotp", "email", "username", "login",
    "config", "fixture", "sentinel",
})  # fmt: skip
_STOP_WORDS = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "cannot", "do",
    "does", "for", "from", "has", "have", "if", "in", "is", "it", "its", "may", "must", "no",
    "not", "of", "on", "or", "please", "should", "that", "the", "their", "this", "to", "too",
    "use", "used", "via", "was", "were", "when", "which", "will", "with", "you", "your",
    "enter", "confirm", "forgot", "reset", "change", "new", "old", "invalid", "wrong",
    "incorrect", "missing", "required", "field",
})  # fmt: skip
# Without a digit or a sign in it: a word, an identifier, a path of names.
_WORDS = re.compile(r"[^\W\d]+(?:[-_./:@ ][^\W\d]+)*")
_CASE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}")
# Letters of both cases with a digit before a lower-case letter, which is rare in identifiers.
_MIXED = re.compile(r"(?=.*\d[a-z])(?=.*[A-Z])(?=.*[a-z])[A-Za-z0-9]+")
_IDENTIFIER = re.compile(r"[a-z]+(?:_[a-z]+)+|[A-Z]+(?:_[A-Z]+)+")
_PATH = re.compile(r"(?:\w[\w+.-]*:/|\.{0,2}/|~/|[A-Z]:\\)[\w./\\~ -]*|[\w./-]*\.[a-z]{2,4}")
_URL = re.compile(r"\w[\w+.-]*://")
_CODE = re.compile(r"[\w.>:-]*\w\(|\w+\[|::|->|=>|^[a-z_]\w*(?:\.[a-z_]\w*)+[,;]?$|^[&*]\w|[{}]$")
_FORMAT = re.compile(r"^\W*\\|\(\?|\[\^?[\w\\]|\\[bdsw]|\.[*+]|\)\?")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}|\d+(?:\.\d+)+-?[\d.]*|0x[\da-f]{1,4})[lfu]?", re.IGNORECASE)
# Mean length of runs of letters below which text is not made of words.
MEAN_WORD, MEAN_LONG, LONG = 2.6, 3.4, 16
MIN_ANY, MIN_TELLING = 3, 8


def is_reference(value: str) -> bool:
    """Whether ``value`` refers to the source of a secret, or is a template for one."""
    return bool(_REFERENCE.search(value)) if value.isascii() or "…" in value else False


def is_made_of_words(value: str) -> bool:
    """Whether ``value`` is made of words: long runs of letters, hardly any digits."""
    if _IDENTIFIER.fullmatch(value):
        return True
    if len(value) >= LONG and _MIXED.fullmatch(value):
        return False
    runs = _CASE.findall(value)
    letters = [run for run in runs if not run[0].isdigit()]
    digits = sum(len(run) for run in runs if run[0].isdigit())
    size = sum(map(len, letters))
    if not letters:
        return not digits
    signs = sum(not (c.isalnum() or c in "-_./: ") for c in value)
    mean = MEAN_LONG if len(value) >= LONG else MEAN_WORD
    return size / len(letters) >= mean and digits <= 0.1 * size and not signs


def _is_plain(value: str) -> bool:
    """Whether ``value`` is no secret whatever its name: a mask, a type, a placeholder, a number, a
    path."""
    bare = value.strip("\"'`,;").lower()
    return (
        not bare
        or is_mask(bare)
        or bare in _TYPES
        or _is_placeholder(unquote(value))
        or bool(_NUMBER.fullmatch(bare))
        or bool(_PATH.fullmatch(value))
        or len(set(bare)) < 3
        or bool(_MAIL.fullmatch(value))
        or value.startswith("--")
        or is_reference(value)
    )


def _is_placeholder(value: str) -> bool:
    """Whether ``value`` consists of placeholder words or of digits in order. It must be mostly
    letters, since a few letters among many signs may be words by chance."""
    letters = sum(map(str.isalpha, value))
    if not letters:
        return any(value.strip("\"' ") in row for row in ("01234567890", "9876543210"))
    return letters >= 0.5 * len(value) and only_placeholders(value)


def _is_prose(value: str) -> bool:
    words = value.split()
    if len(words) < 2:
        return False
    if len(words) < 3 and not all(word.isalpha() for word in words):
        return False
    if len(words) > 2 and not all(word.isalpha() and word.islower() for word in words):
        return True
    return len(words) < 4 or not _STOP_WORDS.isdisjoint(w.lower().strip(".,:!?") for w in words)


def may_be_password(value: str, name: str) -> bool:
    """Whether a quoted value at the ``name`` of a password may be one, of whatever form."""
    if len(value) < MIN_ANY or _is_plain(value) or _is_prose(value) or _FORMAT.search(value):
        return False
    if (len(value) < 5 and value.isalpha()) or _URL.match(value):
        return False
    return not _echoes(value, name)


def may_be_token(value: str, name: str) -> bool:
    """The same for a name with other meanings (``token``, ``key``, ``auth``): words and short
    values do not count."""
    if len(value) < MIN_TELLING or " " in value or _URL.match(value):
        return False
    return may_be_password(value, name) and not is_made_of_words(value) and not _CODE.search(value)


def may_be_unquoted_secret(value: str, name: str, *, strong: bool) -> bool:
    """The same for an unquoted value, which may be code."""
    value = value.rstrip(",;")
    if _CODE.search(value) or value[:1] in "([{<|>&*!@%`":
        return False
    return may_be_password(value, name) if strong else may_be_token(value, name)


def _echoes(value: str, name: str) -> bool:
    """Whether the value repeats a word of its name, as names of fields and settings do."""
    mine = {part.lower() for part in _CASE.findall(name)}
    words = [part.lower() for part in _CASE.findall(value) if not part.isdigit()]
    return bool(_WORDS.fullmatch(value)) and any(word in mine for word in words if len(word) > 2)
