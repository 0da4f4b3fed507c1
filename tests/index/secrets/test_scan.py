"""Secrets are found wherever they stand, and ordinary text is not reported."""

from __future__ import annotations

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.settings import get_settings, transient_settings
from hypothesis import given

from git_copilot.index.secrets import prefilter, scan
from git_copilot.index.secrets.detectors import LEFT_OUT, detectors
from git_copilot.index.secrets.redaction import redact, redact_bytes
from git_copilot.index.secrets.scan import find_secrets, secret_lines
from tests.support.secret_samples import (
    AWS,
    BASE64,
    BEGIN,
    GITHUB,
    HEX,
    JWT,
    KEY,
    MANY,
    PATHS,
    STRIPE,
    documents,
)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", f'client = connect("s3", "{AWS}")'),
        ("a.py", f"headers = {{'Authorization': 'token {GITHUB}'}}"),
        ("a.js", f"const stripe = require('stripe')('{STRIPE}');"),
        ("a.py", 'db = login(user="ada", password="hunter2")'),
        ("a.py", f'client_id="x", client_secret="{BASE64}"'),
        ("a.py", f'SECRET_KEY = "{HEX}"'),
        ("a.go", f'token := "{BASE64}"'),
        ("a.c", 'char password[25] = "Tr0ub4dor&3";'),
        ("a.cs", 'string password = @"Tr0ub4dor&3";'),
        ("a.java", 'props.put("db.password", "x"); String dbPassword = "Tr0ub4dor&3";'),
        ("a.yaml", "password: Tr0ub4dor&3"),
        ("a.yaml", f"  api_key: {BASE64}"),
        ("a.toml", 'auth_key = "Tr0ub4dor&3"'),
        (".env", "export DB_PASSWORD=Tr0ub4dor&3"),
        (".env", f"GITLAB_TOKEN={BASE64}"),
        ("run.sh", "PASSWORD=Tr0ub4dor3 make"),
        ("a.json", '"password": "Tr0ub4dor&3",'),
        ("README.md", "    psql postgres://ada:Tr0ub4dor3@db.internal/app"),
        ("a.py", f'jwt = "{JWT}"'),
        ("a.py", f'"-----{KEY[0].strip("-")}-----\\nMIIEpAIBAAKCAQEA1c7\\n"'),
        ("a.py", "token = 'github_pat_" + "11AAAAAAA0abcdefghijkl" + "_Zz9'"),
        ("a.txt", "AIza" + "SyA-1234567890abcdefghijklmnopqrstu"),
        (".npmrc", "token=npm_" + "a1B2c3D4e" * 4),
        ("a.py", "login('hf_" + "a1B2c3D4e" * 4 + "')"),
        ("no-extension", f"the key is {GITHUB}, keep it"),
    ],
)
def test_a_secret_is_found(path, line):
    assert secret_lines(f"first\n{line}\nlast\n", path) == {2}
    assert secret_lines(line, path) == {1}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", 'assert url.password == "secret"'),
        ("a.py", 'login(user="user", password="test-password-1")'),
        ("a.py", 'password="pass%20word"'),
        ("a.py", 'password = get_password("production-2", timeout=10)'),
        ("a.py", 'url = "postgresql://scott:tiger@localhost/test"'),
        ("a.py", 'url = f"https://{user}:{password1}@{host}"'),
        ("a.py", 'commit = "dae86e1950b1277e545cee180551750029cfe735"'),
        ("a.py", 'assert stat["checksum"] == "8d777f385d3dfec8815d20f7496026dc"'),
        ("a.html", 'integrity="sha384-9qIZekWUyjCyDIf2YK1FRoKiPJq4PHt6tp/ulnuuyRBvazd0hG7pWbE9"'),
        ("a.py", 'user_id = "f3b0c442-98fc-1c14-9afb-f4c8996fb924"'),
        ("a.py", 'alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"'),
        ("a.py", 'path = "docs/tutorial/security/oauth2-jwt/first-steps"'),
        ("a.py", 'secret_file="/run/secrets/database-1"'),
        ("a.py", 'private_key = "~/.ssh/id_ed25519"'),
        ("a.py", 'password_hint = "at least 8 characters and 1 digit"'),
        ("a.py", 'password="<your-password-1>"'),
        ("a.py", 'SECRET = "${SECRET_1}"'),
        ("a.go", "secret := config.Secret2"),
        ("a.yaml", "password: ${{ secrets.PASSWORD_2 }}"),
        ("a.yaml", "password: see chapter 4 of the manual"),
        ("a.rst", "The password: it has 8 characters."),
        ("a.py", 'hashed = "pbkdf2_sha256"; password_hasher = "pbkdf2_sha256"'),
        ("a.py", "def test_the_password_of_user_42_is_not_shown_in_the_log(): ..."),
        ("a.txt", "connect to 93.184.216.34:443"),
    ],
)
def test_ordinary_text_is_not_reported_as_a_secret(path, line):
    assert find_secrets(line, path) == []


@pytest.mark.parametrize(
    "text",
    [
        f'password = "Tr0ub4dor&3"  # {scan.PRAGMA}',
        '# pragma: allowlist nextline secret\npassword = "Tr0ub4dor&3"',
        f"key = '{AWS}' // {scan.PRAGMA}",
    ],
)
def test_an_allowlist_comment_allows_its_line(text):
    assert find_secrets(text, "a.py") == []


def test_a_private_key_is_found_to_its_end():
    text = "\n".join(["before", *KEY, "after = 1"])
    assert secret_lines(text, "id_rsa") == {2, 3, 4, 5}
    quoted = "\n".join(["KEY = (", *(f'    "{line}\\n"' for line in KEY), ")", "pass"])
    assert secret_lines(quoted, "a.py") == {2, 3, 4, 5}
    cut_off = "\n".join([*KEY[:2], "", "def f():", "    pass"])
    assert secret_lines(cut_off, "a.py") == {1, 2}
    spoken_of = f'if "{BEGIN}" in text:\n    raise\npass\n'
    assert secret_lines(spoken_of, "a.py") == {1}
    putty = "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nAAAAB3Nza\nPrivate-MAC: 0123\nx = 1"
    assert secret_lines(putty, "k.ppk") == {1, 2, 3, 4}


def test_secrets_are_judged_by_the_language_of_the_path():
    text = f"password: Tr0ub4dor&3\nhash: {HEX}\n"
    assert secret_lines(text, "a.yaml") == secret_lines(text, "package-lock.json") == {1}
    assert secret_lines(text, "a.py") == secret_lines(text) == frozenset()


def test_lines_of_minified_code_are_searched_for_tokens_only():
    line = f'{"a=1;" * 600}password="Tr0ub4dor&3";k="{AWS}"'
    (found,) = find_secrets(line, "a.js")
    assert (found.kind, line[found.start : found.end]) == ("AWS Access Key", AWS)


def test_every_installed_detector_has_a_trigger_or_is_excluded_on_purpose():
    installed = {c.__name__ for c in get_mapping_from_secret_type_to_class().values()}
    assert installed - LEFT_OUT <= prefilter.TRIGGERED
    assert set(detectors()) | prefilter.OURS == prefilter.TRIGGERED


# --- masking ---------------------------------------------------------------------------------


@pytest.mark.slow
@MANY
@given(documents(), PATHS)
def test_redacted_text_has_no_secret_and_keeps_line_lengths(text, path):
    text = "\n".join([*KEY, text])
    masked = redact(text, path)
    assert find_secrets(masked, path) == []
    assert [len(line) for line in masked.split("\n")] == [len(line) for line in text.split("\n")]
    hidden = secret_lines(text, path)
    for number, (old, new) in enumerate(zip(text.split("\n"), masked.split("\n"), strict=True), 1):
        assert (old == new) or number in hidden


def test_redacting_bytes_keeps_their_offsets():
    data = 'ä = "ö"\r\npassword = "Trüb4dor&3"\r\nrest = 1\xff\n'.encode("latin-1")
    data = data.replace("ä".encode("latin-1"), "ä".encode()).replace(
        "ü".encode("latin-1"), "ü".encode()
    )
    masked = redact_bytes(data, "a.py")
    assert len(masked) == len(data)
    assert masked.replace(b"xxxxx0xxx&0", "Trüb4dor&3".encode()) == data
    assert redact_bytes(b"x = 1\n", "a.py") == b"x = 1\n"


def test_the_whole_token_is_masked():
    assert (
        redact(f'x = "{JWT}"', "a.py")
        == 'x = "' + "".join("0" if c.isdigit() else "x" if c.isalpha() else c for c in JWT) + '"'
    )
    assert GITHUB not in redact(f"{GITHUB} and {GITHUB}abc", "a.txt")


# --- the process it runs in ------------------------------------------------------------------


def every_kind():
    return "\n".join([f'x = "{AWS}"', f'"{STRIPE}"', 'password="hunter2"', *KEY, JWT,
                      "xoxb-1-2-abcdef", "1234567890:" + "a1B2c" * 7])  # fmt: skip


def test_nothing_is_verified_over_the_network(monkeypatch):
    def refuse(*args):
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    policy = "detect_secrets.filters.common.is_ignored_due_to_verification_policies"
    with transient_settings({"filters_used": [{"path": policy, "min_level": 2}]}):
        assert len(secret_lines(every_kind(), "a.py")) > 6


def test_global_settings_of_detect_secrets_are_unchanged():
    before = get_settings().json()
    with transient_settings({"plugins_used": [{"name": "AWSKeyDetector"}]}):
        inside = get_settings().json()
        assert len(secret_lines(every_kind(), "a.py")) > 6
        assert get_settings().json() == inside
    assert get_settings().json() == before


def test_scanning_in_threads_gives_the_same_result():
    texts = [every_kind(), f'SECRET_KEY = "{HEX}"', "nothing here"] * 20
    wanted = [find_secrets(text, "a.py") for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda text: find_secrets(text, "a.py"), texts)) == wanted


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    ).stdout.strip()


def test_importing_the_scanner_has_no_side_effects():
    code = (
        "import warnings, configparser, logging; before = warnings.showwarning, configparser.ParsingError\n"
        "from git_copilot.index.secrets.scan import find_secrets\n"
        "assert find_secrets('password = \"hunter2\"')\n"
        "print((warnings.showwarning, configparser.ParsingError) == before, logging.getLogger().handlers)"
    )
    assert run(code) == "True []"


def test_without_detect_secrets_scanning_says_what_is_missing():
    code = (
        "import sys; sys.modules['detect_secrets'] = None\n"
        "from git_copilot.index.core.errors import CopilotError\n"
        "from git_copilot.index.secrets.scan import find_secrets\n"
        "assert find_secrets('x = 1') == []\n"
        "try: find_secrets('password = \"hunter2\"')\n"
        "except CopilotError as exc: print(exc)"
    )
    assert "detect-secrets is not installed" in run(code)
