"""A server that dies leaves a trace in its log, in `doctor` and in `status`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from git_copilot.assistant.api.status import DeadServer
from git_copilot.assistant.client import server_log as serverlog
from git_copilot.assistant.client import transport
from git_copilot.assistant.client.address import lock_holder
from git_copilot.assistant.client.server_log import ServerLog, last_death, log_path
from git_copilot.assistant.client.shutdown import stop_server
from git_copilot.assistant.client.transport import wait_for_server
from git_copilot.assistant.diagnostics.doctor import examine
from git_copilot.assistant.diagnostics.status import _server_status, server_facts
from git_copilot.assistant.server.launch import start_server
from tests.support.running_server import completing

SECRET = "quite_private_name"
ROOT = Path(__file__).parents[3]
# A server whose command crashes in the way that argv[1] says.
CRASHING = """
import os, sys, threading
from git_copilot.assistant.server.launch import run_server
from tests.support.running_server import ScriptedService
def run(operation, request, session, callbacks):
    how = request.location
    if how == "bug":
        quite_private_name = 1
        raise KeyError("quite_private_name = 1")
    if how == "segfault":
        import faulthandler
        faulthandler._sigsegv()
    if how == "library":
        os.write(2, b"a library's warning\\n")
    if how == "thread":
        def broken(): raise ValueError("quite_private_name = 1")
        thread = threading.Thread(target=broken, name="some-thread")
        thread.start()
        thread.join()
    return {}
sys.exit(run_server(60, service=ScriptedService(run)))
"""


@pytest.fixture
def start_server_process(runtime):
    """Starts servers; whatever still runs at the end is stopped."""
    made = []

    def start(how=None):
        if how is None:
            start_server()
        else:
            made.append(
                subprocess.Popen([sys.executable, "-c", CRASHING, "serve", "git-copilot"], cwd=ROOT)
            )
        pid = wait_for_server(30)
        assert pid
        return pid

    yield start
    stop_server()
    for process in made:
        process.wait(30)


def ask(location):
    connection = transport.connect()
    assert connection is not None
    return transport.exchange(connection, completing(location, alive=True))


def wait_until_gone(pid):
    deadline = time.monotonic() + 20
    while lock_holder() == pid:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finding():
    return next(f for f in examine() if f.check == "server")


def log():
    return log_path().read_text()


def test_a_killed_server_is_reported(start_server_process):
    assert last_death() is None
    pid = start_server_process()
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    found = finding()
    assert (
        found.level == "warn" and f"(pid {pid})" in found.message and str(log_path()) in found.mend
    )
    assert _server_status(server_facts()).died == DeadServer(pid, str(log_path()))
    second = start_server_process()
    assert f"[{second}] server {pid} ended without a word" in log()
    # Said for a while, though another runs.
    assert finding().message.startswith(f"process {second} answers; the last server (pid {pid})")


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stop", "SIGTERM", "halted"])
def test_a_stopped_server_is_not_reported(start_server_process, end):
    pid = start_server_process()
    if end == "SIGTERM":
        os.kill(pid, signal.SIGTERM)
    else:
        if end == "halted":
            os.kill(pid, signal.SIGSTOP)
        assert stop_server()
    wait_until_gone(pid)
    assert last_death() is None and finding().level == "ok"
    if end != "halted":
        reason = {"stop": "asked to stop", "SIGTERM": "SIGTERM"}[end]
        assert f"[{pid}] started: git-copilot" in log()
        assert f"[{pid}] stopped: {reason}; " in log() and " MB after 0 requests" in log()


def test_a_crash_logs_its_stack(start_server_process):
    pid = start_server_process("crashing")
    assert ask("segfault") is None
    wait_until_gone(pid)
    assert "Segmentation fault" in log() and "Current thread" in log()
    assert last_death().pid == pid


def test_failures_are_logged_without_any_user_text(start_server_process, hermetic):
    start_server_process("crashing")
    assert ask("bug")["error"]["exit_code"] == 3
    assert ask("library")["answer"] == {}
    assert ask("thread")["answer"] == {}
    text = log()
    assert "complete failed; errors.log says how" in text
    assert "a library's warning" in text
    assert "ValueError in some-thread" in text and "in broken" in text
    assert SECRET not in text


def test_the_log_size_is_bounded(hermetic, monkeypatch):
    monkeypatch.setattr(serverlog, "LOG_BYTES", 2000)
    first, second = ServerLog(), ServerLog()
    for number in range(200):
        (first if number % 3 else second).write(f"line {number}")
    first.close()
    second.close()
    names = sorted(p.name for p in log_path().parent.iterdir())
    assert names == ["server.log", "server.log.1"]
    assert all(p.stat().st_size < 2200 for p in log_path().parent.iterdir())
    assert log().endswith("line 199\n") and log_path().stat().st_mode & 0o777 == 0o600


def test_an_unwritable_log_does_not_stop_the_server(start_server_process, hermetic):
    log_path().parent.parent.mkdir(parents=True, exist_ok=True)
    log_path().parent.write_text("a file where the folder should be")
    assert start_server_process() and finding().level == "ok"
