"""What uvicorn says is in the server's log, with a time and a limit."""

from __future__ import annotations

import logging

import pytest

from git_copilot.assistant.client.server_log import log_path
from git_copilot.assistant.http import library_log, listener
from git_copilot.assistant.http.library_log import LibraryLog


@pytest.fixture
def lines():
    """What is written while uvicorn's messages are taken."""
    written = []
    handler = LibraryLog(written.append)
    handler.attach()
    yield written
    handler.detach()


def test_what_strangers_send_leaves_no_line(serve_http, capfd):
    running = serve_http()
    before = log_path().read_text()
    for _ in range(30):
        assert b"400 Bad Request" in running.raw(b"nonsense\r\n\r\n")
    assert log_path().read_text() == before and capfd.readouterr().err == ""


def test_too_many_connections_are_one_line_with_a_time(serve_http, monkeypatch, capfd):
    monkeypatch.setattr(listener, "MAX_CONNECTIONS", 0)
    running = serve_http()
    for _ in range(5):
        assert running.client.get("/health").status_code == 503
    found = [line for line in log_path().read_text().splitlines() if "uvicorn" in line]
    assert len(found) == 1 and "concurrency limit" in found[0]
    assert found[0].startswith("20") and capfd.readouterr().err == ""


def test_a_message_comes_again_after_a_minute(lines, monkeypatch):
    logger = logging.getLogger("uvicorn.error")
    for _ in range(3):
        logger.warning("full")
        logger.error("broken")
    assert lines == ["uvicorn: full", "uvicorn: broken"]
    monkeypatch.setattr(library_log, "SECONDS", 0.0)
    logger.warning("full")
    assert len(lines) == 3


def test_an_exception_is_told_without_its_message(lines):
    quoted = "somebody's code"
    try:
        raise ValueError(quoted)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("failed in the application")
    (line,) = lines
    assert line.startswith("uvicorn: failed in the application: ValueError\n")
    assert "somebody" not in line.replace('raise ValueError("somebody\'s code")', "")


def test_messages_of_others_are_left_alone(lines, capfd):
    logging.getLogger("uvicorn_like").warning("other")
    assert lines == []
