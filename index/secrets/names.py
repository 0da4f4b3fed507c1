"""Finds the names of secrets: ``db_password``, ``apiToken``, ``AUTH``; not ``password_field``.
Pure, standard library only."""

from __future__ import annotations

import re

# Start and end of a name, and whether it is strong: it can name nothing but a secret.
NameSpan = tuple[int, int, bool]
# No hand-written line has more names than this.
MAX_NAMES = 24

_OWNERS = (
    "api|access|account|auth|private|secret|encryption|encrypt|signing|sign|master|shared|client|"
    "service|app|deploy|license|licence|storage|subscription|ssh|preshared|pre_shared|aes|hmac|"
    "jwt|cipher|crypto|data|unseal|consumer|server|webhook|session|cookie|admin|root|rest"
)
# Each alternative begins with one of ROOTS; lookbehinds check the rest.
_WORD = re.compile(
    r"(?P<strong>passw(?:or)?[dt]|passcode|pass_?phrase|contrase(?:ñ|n)a|pwd|(?:(?<=bind)|(?<=_))pw(?![a-z])|(?<![a-z])pass(?![a-z])|"
    r"(?<=[a-z])pass(?=[\"'\]=:]|$|\s)|secret|mnemonic|seed_?phrase|"
    r"key(?:(?<=api.key)|(?<=access.key)|(?<=account.key)|(?<=auth.key)|(?<=private.key)|"
    r"(?<=encryption.key)|(?<=signing.key)|(?<=master.key)|(?<=apikey)|(?<=accesskey)|(?<=accountkey)|"
    r"(?<=authkey)|(?<=privatekey)|(?<=encryptionkey)|(?<=signingkey)|(?<=masterkey)|(?<=presharedkey))|"
    r"token(?:(?<=auth.token)|(?<=access.token)|(?<=refresh.token)|(?<=api.token)|(?<=bearer.token)|"
    r"(?<=authtoken)|(?<=accesstoken)|(?<=refreshtoken)|(?<=apitoken)|(?<=bearertoken)|(?<=bottoken)))"
    r"|(?P<weak>token|auth(?!or)|credential|bearer|(?<![a-z])(?:salt|pepper|psk|dsn|seed|jwt|otp)(?![a-z])|"
    r"totp|webhook|connection_?string|community|"
    r"key(?<=(?:[_-]|[a-z])key))"
)
ROOTS = (
    "pass", "contrase", "pw", "secret", "mnemonic", "seed", "key", "token", "auth", "credential", "bearer",
    "salt", "pepper", "psk", "dsn", "jwt", "otp", "totp", "webhook", "connection", "community",
)  # fmt: skip
_OWNED = re.compile(rf"(?:{_OWNERS})[_-]?key", re.IGNORECASE)
_NAME_CHARACTERS = frozenset("_-.$")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
# Words that, after a secret's name, make it the name of something else.
_ABOUT = frozenset({
    "url", "uri", "urls", "path", "paths", "file", "files", "filename", "dir", "directory",
    "folder", "name", "names", "field", "fields", "form", "label", "hint", "length", "len",
    "size", "min", "max", "regex", "regexp", "pattern", "type", "types", "id", "ids", "count",
    "expire", "expires", "expiry", "expiration", "ttl", "timeout", "age", "policy", "policies",
    "validator", "validators", "hasher", "hashers", "view", "views", "page", "template", "help",
    "error", "errors", "message", "messages", "msg", "title", "prompt", "placeholder", "format",
    "header", "headers", "scheme", "prefix", "suffix", "param", "params", "parameter", "arg",
    "args", "option", "options", "column", "env", "var", "class", "cls", "handler", "manager",
    "service", "provider", "store", "backend", "model", "serializer", "endpoint", "host",
    "port", "user", "username", "method", "methods", "mode", "enabled", "disabled", "required",
    "changed", "reset", "algorithm", "alg", "version", "location", "index", "position", "pos",
    "start", "end", "stream", "iter", "iterator", "list", "line", "kind", "status", "state",
    "strength", "input", "output", "widget", "button", "link", "icon", "email", "mail",
    "request", "response", "callback", "function", "func", "fn", "factory", "config",
    "settings", "middleware", "decorator", "test", "tests", "case", "module", "command", "cmd",
    "info", "usage", "limit", "rate", "scope", "scopes", "audience", "issuer", "claim",
    "claims", "source", "target", "map", "set", "rotation", "ref", "refs", "reference", "arn",
    "selector", "lookup", "getter", "setter", "property", "properties", "key_id", "protocol",
    "generator", "minimum", "maximum", "limits", "tag", "tags", "domain", "category", "level",
    "domains", "expired", "exists", "missing", "allowed", "forgotten", "visible", "verified",
    "verification", "attempts", "at", "on", "time", "date", "created", "updated", "event",
    "events", "server", "servers", "group", "groups", "role", "roles", "realm", "flow",
    "code_url", "mount", "engine", "encode", "decode", "split", "replace", "strip", "lower",
    "upper", "startswith", "endswith", "join", "rules", "rule", "docs", "doc", "description",
    "desc", "ed", "ing", "ization", "ize", "izer", "ized", "izers", "izing",
    "enticate", "enticated", "entication", "enticator", "entic", "orized", "orization", "orize",
})  # fmt: skip
_BEFORE = frozenset({
    "is", "has", "no", "max", "min", "num", "n", "count", "check", "validate", "verify",
    "forgot", "reset", "forget", "change", "show", "hide", "requires", "allow", "use", "with",
    "without", "supports", "public", "primary", "foreign", "test_id", "lost",
})  # fmt: skip
_NEVER = re.compile(
    r"(?:csrf|xsrf|primary|foreign|public|cache|sort|partition|group|dict|row|next_?page|page|"
    r"continuation|start|end|eof|last|prev|next|cancellation|cancel|lexer|syntax|ast)[_-]?(?:token|key)|"
    r"publishable|getpass|compass|bypass|author|(?<![a-z])pass[_-](?:through|thru)|\bpass\.",
    re.IGNORECASE,
)


def secret_names(line: str) -> list[NameSpan]:
    """The names of secrets on a line."""
    folded = line.lower()
    if len(folded) != len(line):
        folded = "".join(c.lower() if len(c.lower()) == 1 else c for c in line)
    places = []
    for root in ROOTS:
        place = folded.find(root)
        while place >= 0:
            places.append(place)
            place = folded.find(root, place + len(root))
    found: list[NameSpan] = []
    for place in sorted(places)[:MAX_NAMES]:
        match = _WORD.match(folded, place)
        if match is None:
            continue
        strong = match["strong"] is not None
        if found and place < found[-1][1]:  # inside the same name: strong wins
            start, end, known = found[-1]
            found[-1] = start, end, known or strong
            continue
        name = _name_at(line, *match.span(), strong)
        if name is not None:
            found.append(name)
    return found


def _name_at(line: str, first: int, last: int, strong: bool) -> NameSpan | None:
    """The whole name around a secret's word, unless it names something else."""
    start, end = first, last
    while start and (line[start - 1].isalnum() or line[start - 1] in _NAME_CHARACTERS):
        start -= 1
    while end < len(line) and (line[end].isalnum() or line[end] in "_-."):
        end += 1
    end -= len(line[last:end]) - len(line[last:end].rstrip("-."))
    name = line[start:end]
    if line[first:last].lower() == "key" and not _OWNED.search(name):
        return None
    before = [p.lower() for p in _PARTS.findall(line[start:first])]
    behind = [p.lower() for p in _PARTS.findall(line[last:end])]
    if not _ABOUT.isdisjoint(behind) or (name[0] != "-" and not _BEFORE.isdisjoint(before)):
        return None
    if _NEVER.search(name) or end - start > 120:
        return None
    if behind[:1] == ["s"] and not strong:
        return None
    return start, end, strong
