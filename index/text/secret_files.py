"""Recognises files that contain mostly secrets by their names. Pure, standard library only."""

from __future__ import annotations

import re

# The reason for their exclusion (rules.exclusion_reasons).
REASON = "secret file"
_NAMES = frozenset({
    ".env", ".envrc", ".htpasswd", ".htdigest", ".npmrc", ".pypirc", ".netrc", "_netrc", ".pgpass",
    ".my.cnf", ".mylogin.cnf", ".git-credentials", ".dockercfg", ".vault-token", ".vault_pass",
    ".vault-pass", "kubeconfig", "credentials.json", "client_secret.json", "client_secrets.json",
    "service-account.json", "service_account.json", "serviceaccount.json", "secrets.yml",
    "secrets.yaml", "secrets.json", "secrets.toml", "secrets.env", ".secrets", "terraform.tfstate",
    "terraform.tfstate.backup", "master.key", "credentials.yml.enc", ".s3cfg", ".boto", ".passwd",
    ".tugboat", ".credentials", "_credentials", "recentservers.xml", "filezilla.xml",
    ".ftpconfig", ".remote-sync.json", "sftp-config.json", ".bash_history",
    ".zsh_history", ".psql_history", ".mysql_history", ".python_history",
})  # fmt: skip
_ENDINGS = (
    ".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".truststore", ".bks", ".kdb", ".kdbx",
    ".ovpn", ".ppk", ".pkcs12", ".pkcs8", ".p8", ".tfvars", ".tfvars.json", ".tfstate", ".agekey",
    ".asc.key", ".gpgkey", ".keytab", ".publishsettings", ".mobileprovision", ".htpasswd", ".env",
    ".secrets", ".secret", ".kubeconfig",
)  # fmt: skip
_SSH = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk")
# File names that count only in a certain folder.
_PLACES = frozenset({
    (".docker", "config.json"), (".kube", "config"), (".aws", "credentials"),
    (".azure", "accesstokens.json"), (".gcloud", "credentials.db"), (".gem", "credentials"),
    (".cargo", "credentials"), (".cargo", "credentials.toml"), (".m2", "settings-security.xml"),
    (".config", "hub"), ("gh", "hosts.yml"), (".ssh", "identity"),
})  # fmt: skip
# Parts of the names of templates and examples, which are meant to be published.
_SHOWN = frozenset({
    "example", "examples", "sample", "template", "tmpl", "dist", "defaults", "schema", "tpl",
    "j2", "erb",
})  # fmt: skip


# The start of a line in such a file, the name of its value, is not secret.
_KEY = re.compile(r"[ \t]*(?:export[ \t]+)?[\"']?[\w.-]+[\"']?[ \t]*[=:]")


def mask_values(text: str) -> str:
    """Mask all values in the text of a secret file: everything after the first ``=`` or ``:`` of a
    line, and lines without one. Letters become ``x`` and digits ``0``."""
    return "\n".join(_masked_line(line) for line in text.split("\n"))


def _masked_line(line: str) -> str:
    key = _KEY.match(line)
    start = key.end() if key else 0
    hidden = ("0" if c.isdigit() else "x" if c.isalnum() else c for c in line[start:])
    return line[:start] + "".join(hidden)


def is_secret_file(path: str) -> bool:
    """Whether a file's name indicates secrets: ``.env`` and ``.env.local`` (not ``.env.example``),
    keys, password stores, credentials of tools."""
    folder, _, base = path.lower().rpartition("/")
    words = base.replace("-", ".").replace("_", ".").split(".")
    if not _SHOWN.isdisjoint(words):
        return False
    if base in _NAMES or base in _SSH or base.startswith(".env."):
        return True
    if (folder.rpartition("/")[2], base) in _PLACES:
        return True
    return base.endswith(_ENDINGS) and not base.endswith((".pub.pem", ".public.key", ".pub.key"))
