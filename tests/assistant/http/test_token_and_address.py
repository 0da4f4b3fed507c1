"""The token is private, and the address is on the loopback interface."""

from __future__ import annotations

import socket
import stat

import pytest

from git_copilot.assistant.http.address import HttpAddress, bind
from git_copilot.assistant.http.token import Token, default_token_file, ensure_token, read_token
from git_copilot.index.core.errors import CopilotError


def test_a_token_is_made_once_and_private(tmp_path):
    file = tmp_path / "new" / "token"
    token, made = ensure_token(file)
    assert made and len(token) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ensure_token(file) == (token, False)
    assert ensure_token(tmp_path / "second")[0] != token
    assert default_token_file().name == "http-token"


def test_a_token_of_the_users_own_is_taken(tmp_path):
    file = tmp_path / "token"
    assert read_token(file) is None
    file.write_text("  my-token\n")
    file.chmod(0o600)
    assert read_token(file) == "my-token"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe", b"a\x00b"])
def test_a_file_without_a_token_is_refused(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(CopilotError, match="holds no token"):
        read_token(file)


def test_a_token_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "token"
    file.write_text("token")
    for mode in (0o644, 0o640, 0o602):
        file.chmod(mode)
        with pytest.raises(CopilotError, match="may be read by others") as caught:
            read_token(file)
        assert "chmod 600" in caught.value.hint


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(CopilotError, match="not a regular file"):
        read_token(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(CopilotError, match="cannot be"):
        ensure_token(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("127.0.0.1:8012", "http://127.0.0.1:8012"),
        ("localhost:80", "http://127.0.0.1:80"),
        ("[::1]:9", "http://[::1]:9"),
    ],
)
def test_loopback_addresses_are_read(text, url):
    found = HttpAddress.parse(text)
    assert found.url == url and HttpAddress.parse(found.text) == found
    assert f"localhost:{found.port}" in found.names


@pytest.mark.parametrize(
    "text", ["", "8012", "127.0.0.1", "0.0.0.0:8012", "192.168.0.1:1", "example.org:80", ":80",
             "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"],
)  # fmt: skip
def test_others_are_refused_in_one_line(text):
    with pytest.raises(CopilotError) as caught:
        HttpAddress.parse(text)
    assert caught.value.exit_code == 2 and caught.value.hint


def test_a_port_in_use_is_named(tmp_path):
    with (
        bind(HttpAddress("127.0.0.1", 0)) as taken,
        pytest.raises(CopilotError, match="cannot be opened") as caught,
    ):
        bind(HttpAddress("127.0.0.1", taken.getsockname()[1]))
    assert "another program" in caught.value.hint


def test_answers_are_not_held_back():
    """asyncio switches Nagle's algorithm off only where it sees that a socket is TCP's."""
    with bind(HttpAddress("127.0.0.1", 0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_new_token_counts_at_once(tmp_path):
    file = tmp_path / "token"
    token = Token(file)
    first = file.read_text().strip()
    assert token.refusal(first) is None and "a token is needed" in token.refusal("")
    assert "names the file with the right one" in token.refusal("guess")
    file.unlink()
    assert "the token's file was deleted" in token.refusal(first)
    second, _ = ensure_token(file)
    assert token.refusal(second) is None and token.refusal(first)
    file.chmod(0o644)
    assert "may be read by others" in token.refusal(second)


def test_without_a_file_nobody_is_refused():
    assert Token(None).refusal("") is None and Token(None).refusal("any") is None
