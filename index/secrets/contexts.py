"""Finds secrets by context rather than name: headers, commands, addresses, password hashes, and
tokens with a known form. Pure, standard library only."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from git_copilot.index.secrets.assignments import Span
from git_copilot.index.secrets.values import (
    is_made_of_words,
    is_reference,
    may_be_password,
    may_be_unquoted_secret,
)

HEADER, COMMAND, ADDRESS = "Authorization Header", "Command Line Password", "Address Password"
HASH, DSN, SEED, TOKEN = "Password Hash", "Sentry DSN", "TOTP Seed", "Access Token"
CONNECTION = "Connection Password"

Validator = Callable[[str], bool]


def _may_be_password(value: str) -> bool:
    return may_be_password(value, "")


def _is_certain(value: str) -> bool:
    return may_be_password(value, "") and not is_made_of_words(value)


def _may_be_unquoted(value: str) -> bool:
    return may_be_unquoted_secret(value, "", strong=True)


def _url_password(value: str) -> bool:
    """Short ones are examples (``scott:tiger``)."""
    if len(value) < 6 and not (len(value) > 3 and re.search(r"\d", value)):
        return False
    return may_be_password(value, "")


def _credentials(value: str) -> bool:
    """Base64 of ``user:password``, or of binary data."""
    if is_reference(value):
        return False
    try:
        _, colon, password = base64.b64decode(value + "==").decode().partition(":")
    except (binascii.Error, ValueError):
        return _is_certain(value)
    return may_be_password(password, "") if colon else _is_certain(value)


def _bearer(value: str) -> bool:
    return len(value) >= 8 and _is_certain(value)


def _token(value: str) -> bool:
    """A token of a known form; a repeated letter is a placeholder."""
    return len(set(value[-16:])) > 5 and "example" not in value.lower()


@dataclass(frozen=True, slots=True)
class SecretContext:
    """A pattern whose group ``v`` captures a secret. Every line that it can match contains one of
    ``triggers``, in lower case."""

    kind: str
    triggers: tuple[str, ...]
    pattern: re.Pattern[str]
    accepts: Validator
    config: bool = False


def _context(
    kind: str, triggers: str, pattern: str, judge: Validator, *, config: bool = False
) -> SecretContext:
    return SecretContext(
        kind, tuple(triggers.split("|")), re.compile(pattern, re.IGNORECASE), judge, config
    )


_Q = r"[@$bru]{0,2}[\"'`](?P<v>[^\"'`\n]+)[\"'`]"
_SKIP = r"[\"'`]?[^\"'`,()]*[\"'`]?"
_LOGINS = (
    r"HTTPBasicAuth|HTTPDigestAuth|basic_?auth|auth\s*[=:]\s*|NetworkCredential|PSCredential|"
    r"creds?\s*=\s*|credentials\s*=\s*|set_?basic_?auth|UsernamePasswordCredentials|PasswordAuthentication|UsernamePasswordAuthenticationToken|twilio|"
    r"(?<=\.)login|(?<=\.)authenticate|addCredentials|PlainAuthProvider|BasicAWSCredentials"
)
CONTEXTS = (
    _context(HEADER, "basic ", r"\bBasic\s+(?P<v>[\w+/]{8,}={0,2})(?![\w.])", _credentials),
    _context(HEADER, "bearer ", r"\bBearer\s+(?P<v>[\w+/.~=-]{8,})", _bearer),
    _context(
        HEADER, "authorization",
        r"Authorization[\"'\]]?\s*(?:[:=,]|=>)\s*[\"'`]?(?:Token|ApiKey|GenieKey|SSWS|Splunk|Bot|OAuth|Key|Negotiate|AWS|Digest)?[ =:]*"
        r"(?P<v>[\w+/.~=-]{8,})", _bearer,
    ),
    _context(HEADER, "cookie:|cookie\"|cookie'", r"Cookie[\"']?\s*[:,=]\s*[\"']?[\w.-]*(?:sess|sid|auth|token|jwt|remember)[\w.-]*=(?P<v>[^;\"'\s]+)", _bearer),
    _context(COMMAND, " -u| --user| --proxy-user| -a ", r"\b(?:curl|wget|https?|xh)\b.*?\s(?:-u|--user|--proxy-user|-U|-a|--auth)[= ]?\s*[\"']?[^\s:\"'/]+:(?P<v>[^\s\"'@]+)", _may_be_unquoted),
    _context(COMMAND, "-u | --user|--proxy-user", r"^\s*(?:-u|--user|--proxy-user)[= ]\s*[\"']?[\w.@+-]*[a-z][\w.@+-]*:(?P<v>[^\s\"'@]+)", _may_be_unquoted),
    _context(COMMAND, " -u |\"-u\"|'-u'", r"[\"']-u[\"'],\s*[\"'][^\s:\"']+:(?P<v>[^\"']+)[\"']", _may_be_password),
    _context(COMMAND, "mysql|mariadb", r"\b(?:mysql\w*|mariadb\w*)\b[^|;]*?\s-p(?P<v>[^\s\"'-][^\s\"']*|[\"'][^\"']+(?=[\"']))", _may_be_unquoted),
    _context(COMMAND, "sshpass", r"\bsshpass\s+-p\s*[\"']?(?P<v>[^\s\"']+)", _may_be_unquoted),
    _context(COMMAND, "redis-cli", r"\bredis-cli\b.*?\s-a\s*[\"']?(?P<v>[^\s\"']+)", _may_be_unquoted),
    _context(COMMAND, "login", r"\blogin\b.*?\s-p[= ]?[\"']?(?P<v>[^\s\"'-][^\s\"']*)", _may_be_unquoted),
    _context(COMMAND, "htpasswd", r"\bhtpasswd\s+-\w*b\w*\s+\S+\s+\S+\s+[\"']?(?P<v>[^\s\"']+)", _may_be_unquoted),
    _context(COMMAND, "chpasswd|password-stdin", r"\b(?:echo|printf)\s+(?:-\w+\s+)?[\"']?(?:[\w.$-]+:)?(?P<v>[^\s\"':]+)[\"']?\s*\|\s*(?:sudo\s+)?(?:chpasswd|.*--password-stdin)", _may_be_unquoted),
    _context(COMMAND, "pass:", r"(?:-pass(?:in|out)?|-k)\s+[\"']?pass:(?P<v>[^\s\"']+)", _may_be_unquoted),
    _context(COMMAND, "sqlcmd|bcp |smbclient|ldap|mongo|ftp|7z|zip ", r"\b(?:sqlcmd|bcp|ldap\w+|mongo\w*|lftp|7z\w?|zip|unzip)\b.*?\s-[PWwp]\s?[\"']?(?P<v>[^\s\"'-][^\s\"']*)", lambda v: _may_be_unquoted(v) and _is_certain(v)),
    _context(COMMAND, "smbclient|smb|cifs", r"-U\s*[\"']?[\w.\\/-]+%(?P<v>[^\s\"']+)", _may_be_unquoted),
    _context(COMMAND, "net user|net use", r"\bnet\s+use?r?\s+\S+\s+(?P<v>[^\s/*]\S+)", _may_be_unquoted, config=True),
    _context(COMMAND, "securestring", r"ConvertTo-SecureString\s+(?:-\w+\s+)*?(?:-String\s+)?[\"'](?P<v>[^\"'\n]+)[\"']", _may_be_password),
    _context(COMMAND, "vault login", r"\bvault\s+login\s+(?:-\S+\s+)*(?P<v>[\w.-]{8,})", _is_certain),
    _context(TOKEN, "fernet|hmac|aesgcm|aes.new|createcipher|createdecipher", r"(?:Fernet|hmac\.new|hmac\.digest|AESGCM|AES\.new|create(?:Hmac|Cipheriv|Decipheriv)\([^,()]+,)\(?\s*b?[\"'](?P<v>[^\"']{8,})[\"']", _is_certain),
    _context(ADDRESS, "@tcp(|@unix(", r"[\w.-]+:(?P<v>[^\s\"'@]+)@(?:tcp|unix)\(", _url_password),
    _context(CONNECTION, "basic_auth", rf"\bbasic_auth\s+{_SKIP}\s*,\s*{_Q}", _may_be_password),
    _context(COMMAND, "sudo -s", r"\becho\s+[\"']?(?P<v>[^\s\"'|]+)[\"']?\s*\|\s*sudo\s+-S", _may_be_unquoted),
    _context(COMMAND, "openssl enc", r"\bopenssl\s+enc\b.*?\s-(?:k|K)\s+[\"']?(?P<v>[^\s\"']+)", _may_be_unquoted),
    _context(TOKEN, "sonar.login", r"sonar\.login[\"']?\s*[=:]\s*[\"']?(?P<v>[\w-]{20,})", _token),
    _context(CONNECTION, "jwt", r"\bjwt\.(?:sign|verify|encode|decode)\(\s*[^,()]+,\s*[\"'](?P<v>[^\"']+)[\"']", _is_certain),
    _context(CONNECTION, "password ", r"\b(?:machine|host)\s+\S+\s+(?:login|user)\s+\S+\s+password\s+(?P<v>[^\s\"'\\]+)", _may_be_unquoted),
    _context(CONNECTION, "passw|pwd", r"(?:password|passphrase|pwd)\s*(?:is|:|=)\s*[*_`]{1,3}(?P<v>[^\s*`\"']{6,})[*_`]", _is_certain),
    _context(TOKEN, "://", r"://(?P<v>[\w-]{20,})@[\w.-]+/", lambda v: _token(v) and _is_certain(v)),
    _context(ADDRESS, "://", r"://[^\s/:@\"'<>\\]*:(?P<v>[^\s\"'<>@/]+)@(?![\s\"'])", _url_password),
    _context(DSN, "://", r"https?://(?P<v>[0-9a-f]{32}(?::[0-9a-f]{32})?)@[\w.-]+/", _token),
    _context(SEED, "otpauth", r"otpauth://[^\s\"']*?secret=(?P<v>[a-z2-7]{8,})", _token),
    _context(SEED, "totp|hotp|authenticator|mfa|two_factor|2fa", r"(?:[th]otp|authenticator|mfa|two_?factor|2fa)\w*[\"'\]]*(?:\.at|\.new|\.generate|\.create)?\s*(?:[(=:]|=>)\s*[\"']?(?P<v>[A-Z2-7]{16,64})\b", _token),
    _context(
        HASH, "$apr1$|$1$|$2|$5$|$6$|$y$|$7$|$argon2|$scrypt$|$pbkdf2",
        r"(?P<v>\$(?:apr1|1|5|6|7|y|gy|scrypt|pbkdf2[\w-]*|argon2(?:i|d|id))\$[\w./=,+$-]{16,}|\$2[abxy]\$\d\d\$[\w./]{40,})", _token,
    ),
    _context(HASH, "{s|{c|{p", r"\{(?:S?SHA\d*|SMD5|CRYPT|PBKDF2\w*|PLAIN)\}(?P<v>[\w+/=.$-]{13,})", _token),
    _context(HASH, "pbkdf2|scrypt:|bcrypt", r"(?:pbkdf2[_:]sha\d+[$:]\d+\$|scrypt:\d+:\d:\d\$|bcrypt(?:_sha256)?\$\$)(?P<v>[\w./+=$-]{24,})", _token),
    _context(HASH, ":", r"^[\w.@-]+:(?P<v>(?=[./]*[a-z0-9./]*[A-Z0-9])(?-i:(?=.*\d)(?=.*[a-z])(?=.*[A-Z]))[\w./]{13})$", _token, config=True),
    _context(CONNECTION, "(", rf"(?:{_LOGINS})(?:\]::new)?\(\s*{_SKIP}\s*,\s*{_Q}\s*[,)]", _may_be_password),
    _context(CONNECTION, "connect|pdo(|mysqli", rf"(?:getConnection|PDO|mysqli(?:_\w+)?|pg_connect|(?<=\.)connect|mysql_connect|createConnection)\(\s*[^()]*?,\s*{_SKIP}\s*,\s*{_Q}\s*[,)]", lambda v: _may_be_password(v) and not is_made_of_words(v) and not re.search(r"[\s,=/]", v)),
    _context(CONNECTION, "identified", r"IDENTIFIED\s+(?:WITH\s+\S+\s+)?(?:BY|AS)\s+(?:VALUES\s+|PASSWORD\s+)?[\"'](?P<v>[^\"']+)[\"']", _may_be_password),
    _context(CONNECTION, "identified", r"IDENTIFIED\s+BY\s+(?P<v>[^\s\"';&:]+)", _may_be_unquoted),
    _context(CONNECTION, ":", r"^[\w.*-]+:(?:\d{2,5}|\*):[\w*.-]+:[\w*.-]+:(?P<v>[^\s:]+)$", _may_be_password, config=True),
    _context(CONNECTION, "accountkey=|sharedaccesskey=|&sig=|?sig=", r"(?:AccountKey|SharedAccessKey|[?&]sig)=(?P<v>[\w+/%=-]{16,})", _token),
    _context(CONNECTION, "dockerconfig|dockercfg", r"dockerc(?:on)?f(?:i)?g(?:json)?[\"']?\s*[:=]\s*[\"']?(?P<v>[\w+/=]{16,})", _token),
    _context(CONNECTION, "-key-data|-keystore|tls.key|keystore", r"(?:client-key-data|tls\.key|keystore\w*|\.jks|\.p12)[\"']?\s*[:=]\s*[\"']?(?P<v>[\w+/=]{32,})", _token),
    _context(TOKEN, "akia|asia", r"\b(?-i:AKIA|ASIA)[A-Z0-9]{16}[\"']?\s*[,:;|\s]\s*[\"']?(?P<v>[\w/+]{40})(?![\w/+])", _token),
)  # fmt: skip

_BY_TRIGGER: dict[str, list[SecretContext]] = {}
for _each in CONTEXTS:
    for _text in _each.triggers:
        _BY_TRIGGER.setdefault(_text, []).append(_each)

# Tokens with a known prefix, case-sensitive.
_PREFIXES = (
    r"dop_v1_\w{32,}|do[or]_v1_\w{32,}|shp(?:at|ca|pa|ss)_\w{24,}|hv[sbr]\.[\w-]{24,}|dapi[0-9a-f]{32}"
    r"|dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{20,}|lin_api_\w{24,}|(?:secret|ntn)_[A-Za-z0-9]{40,}"
    r"|figd_[\w-]{24,}|pscale_(?:pw|tkn|oauth)_[\w.-]{24,}|PMAK-[0-9a-f]{20,}[\w-]*|NRAK-[A-Z0-9]{24,}"
    r"|NRJS-\w{16,}|gl(?:sa|c)_[\w+/=]{24,}|sntry[us]_[\w+/=-]{24,}|tskey-[\w-]{20,}"
    r"|AGE-SECRET-KEY-1[A-Z0-9]{40,}|ATATT3[\w=-]{24,}|ATCTT3[\w=-]{24,}|ATBB\w{24,}|HRKU-[\w-]{24,}"
    r"|gsk_\w{24,}|r8_\w{30,}|dckr_(?:pat|oat)_[\w-]{20,}|rubygems_[0-9a-f]{40,}|oy2[a-z0-9]{43}"
    r"|cio[A-Za-z0-9]{32}|CLOJARS_[0-9a-f]{40,}|rk_(?:live|test)_\w{20,}|sk_test_\w{20,}|whsec_[\w+/=]{20,}"
    r"|sq0atp-[\w-]{20,}|EAAA[\w-]{56,}|EAA[A-Za-z0-9]{60,}|GOCSPX-[\w-]{24,}|ya29\.[\w-]{24,}"
    r"|LTAI\w{16,}|AKID\w{28,}|AQVN[\w-]{32,}|\w{3}8Q~[\w.~-]{30,}|pat[A-Za-z0-9]{14}\.[0-9a-f]{48,}"
    r"|access_token\$production\$\w+\$\w+|key-[0-9a-f]{32}|pnu_\w{30,}|phx_\w{30,}|xai-\w{40,}|pplx-\w{30,}"
    r"|pul-[0-9a-f]{40}|sbp_[0-9a-f]{40}|fly?_?(?:v1|FlyV1)[ _]\w{30,}|FlyV1 \S{30,}|nfp_\w{30,}|vercel_\w{20,}"
    r"|ops_eyJ[\w-]{40,}|A3-[A-Z0-9]{6}-[A-Z0-9-]{20,}|glpat-[\w-]{20,}|gldt-[\w-]{20,}|glrt-[\w-]{20,}"
    r"|gh[opsur]_[A-Za-z0-9]{36,}|xapp-\d-\w+-\d+-\w{20,}|lsv2_(?:pt|sk)_[\w]{30,}|dt0c01\.\w+\.\w{40,}"
    r"|hooks\.slack\.com/(?:services|workflows|triggers)/[\w/]{20,}|hooks\.zapier\.com/hooks/catch/[\w/]{10,}"
    r"|discord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,}|webhook\.office\.com/webhookb2/[\w@/-]{30,}"
    r"|api\.telegram\.org/bot\d+:[\w-]{30,}"
)
TOKEN_PREFIXES = (
    "dop_v1_", "doo_v1_", "dor_v1_", "shpat_", "shpca_", "shppa_", "shpss_", "hvs.", "hvb.", "hvr.",
    "dapi", "dp.", "lin_api_", "secret_", "ntn_", "figd_", "pscale_", "PMAK-", "NRAK-", "NRJS-",
    "glsa_", "glc_", "sntry", "tskey-", "AGE-SECRET", "ATATT3", "ATCTT3", "ATBB", "HRKU-", "gsk_",
    "r8_", "dckr_", "rubygems_", "oy2", "CLOJARS_", "k_test_", "rk_live_", "whsec_", "sq0atp-", "EAA",
    "GOCSPX-", "ya29.", "LTAI", "AKID", "AQVN", "8Q~", "access_token$", "key-", "pul-", "sbp_",
    "FlyV1 ", "nfp_", "ops_eyJ", "glpat-", "gldt-", "glrt-", "xapp-", "lsv2_", "dt0c01.", "hooks.",
    "/api/webhooks/", "webhook.office", "api.telegram", "xai-", "pplx-", "phx_", "pnu_",
    "vercel_", "A3-",
)  # fmt: skip
_TOKENS = re.compile(rf"(?<![A-Za-z0-9])(?P<v>{_PREFIXES})")


def context_values(line: str, config: bool) -> Iterator[Span]:
    """Spans of the secrets on a line that are in one of :data:`CONTEXTS`."""
    folded = line.lower()
    wanted: dict[SecretContext, None] = {}
    for text, contexts in _BY_TRIGGER.items():
        if text in folded:
            wanted.update(dict.fromkeys(contexts))
    if " values" in folded:
        yield from inserted_values(line)
    for context in wanted:
        if context.config and not config:
            continue
        for match in context.pattern.finditer(line):
            if context.accepts(match["v"]):
                yield *match.span("v"), context.kind


_INSERTED = re.compile(r"\(([^()]*)\)\s*VALUES\s*\(([^()]*)\)", re.IGNORECASE)
_COLUMN = re.compile(r"passw|pwd|secret|token|api_?key", re.IGNORECASE)


def inserted_values(line: str) -> Iterator[Span]:
    """Spans of values that an SQL statement inserts into a secret column."""
    for match in _INSERTED.finditer(line):
        place = match.start(2)
        columns = match[1].split(",")
        for column, value in zip(columns, match[2].split(","), strict=False):
            bare = value.strip().strip("'")
            if _COLUMN.search(column) and value.strip()[:1] == "'" and _may_be_password(bare):
                start = place + value.index(bare)
                yield start, start + len(bare), CONNECTION
            place += len(value) + 1


def known_tokens(line: str) -> Iterator[Span]:
    """Spans of tokens with a known prefix."""
    for match in _TOKENS.finditer(line):
        if _token(match["v"]):
            yield *match.span("v"), TOKEN
