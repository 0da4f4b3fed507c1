"""A stuck server is told from a busy one, and can always be stopped."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

import pytest

from git_copilot.assistant.client import address, main, shutdown, transport
from git_copilot.assistant.server import client_link
from git_copilot.index.core.errors import CopilotError
from tests.support.running_server import completing

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def socket_folder(runtime):
    """The folder for the socket."""
    address.secure_runtime_dir()


def test_a_runtime_folder_too_long_for_a_socket_is_skipped(runtime, monkeypatch):
    own = f"git-copilot-{os.getuid()}"
    long = runtime / ("x" * address.MAX_FOLDER)
    longest = runtime / ("x" * (address.MAX_FOLDER - len(f"{runtime}//git-copilot")))
    for folder in (long, longest):
        folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(longest))
    assert address.runtime_dir() == longest / "git-copilot"
    address.secure_runtime_dir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address.socket_path()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setattr("tempfile.tempdir", str(runtime))
    assert address.runtime_dir() == runtime / own
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert address.runtime_dir() == Path("/tmp") / own


def test_unusable_runtime_folders_fall_back_to_the_temporary_folder(runtime, monkeypatch):
    monkeypatch.chdir(runtime)
    monkeypatch.setattr("tempfile.tempdir", str(runtime))
    for name in (".", "x" * 300, str(runtime / ("x" * 300)), str(runtime / "none")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        assert address.runtime_dir() == runtime / f"git-copilot-{os.getuid()}"


@pytest.fixture
def unresponsive_server():
    """A socket that nobody answers; this process holds the lock."""
    with socket.socket(socket.AF_UNIX) as listener, address.lock_path().open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        listener.bind(str(address.socket_path()))
        listener.listen(8)
        yield listener


def test_a_stuck_server_is_reported_within_the_timeout(unresponsive_server, monkeypatch, capsys):
    monkeypatch.setattr(transport, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(sys, "argv", ["git-copilot", "complete", "a.py:1"])
    assert main.ask_for(sys.argv[1:])[0] == 1
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"git-copilot: the server (pid {os.getpid()}) does not answer")
    assert "`git copilot serve --stop`" in err


def test_a_server_that_accepts_no_connection_is_not_waited_for(unresponsive_server):
    unresponsive_server.listen(0)
    waiting = []
    with pytest.raises(transport.ServerSilent):
        for _ in range(8):
            waiting.append(transport.connect(0.1))
    for connection in waiting:
        connection.close()


def test_a_server_that_sends_heartbeats_is_waited_for(start_server, monkeypatch):
    monkeypatch.setattr(client_link, "ALIVE_SECONDS", 0.05)
    monkeypatch.setattr(transport, "SILENT_SECONDS", 0.5)

    def slow(*_):
        time.sleep(1.5)
        return {"late": True}

    start_server(slow)
    asked = {"location": "a.py:1", "cwd": "/"}
    assert transport.ask_for_work("complete", asked)["answer"] == {"late": True}


def test_heartbeats_do_not_extend_the_overall_timeout(start_server, monkeypatch):
    monkeypatch.setattr(client_link, "ALIVE_SECONDS", 0.05)
    gate = threading.Event()
    start_server(lambda *_: gate.wait(30) and {})
    request = completing("a.py:1", alive=True)
    with pytest.raises(transport.ServerSilent, match=r"within 0\.5 s"):
        transport.exchange(transport.connect(), request, 0.5, silent=5)
    gate.set()


def test_heartbeats_are_sent_only_on_request(start_server, monkeypatch):
    monkeypatch.setattr(client_link, "ALIVE_SECONDS", 0.01)
    start_server(lambda *_: time.sleep(0.2))
    for alive in (False, True):
        request = completing("a.py:1", alive=alive)
        with transport.connect() as connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            lines = stream.readlines()
        assert (len(lines) > 1) is alive
        assert all(b'{"alive": ' in line for line in lines[:-1]) and b'"answer"' in lines[-1]


def test_stopping_never_kills_a_process_that_is_not_the_server(unresponsive_server, monkeypatch):
    """The lock names this test process."""
    monkeypatch.setattr(shutdown, "ASK_SECONDS", 0.1)
    with pytest.raises(CopilotError, match="cannot be told"):
        shutdown.stop_server()
    assert address.lock_holder() == os.getpid()


# Takes requests and ignores them, and SIGTERM.
STUBBORN = """
import fcntl, os, signal, socket
from git_copilot.assistant.client import address
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = address.lock_path().open("w")
fcntl.flock(lock, fcntl.LOCK_EX)
lock.write(str(os.getpid()))
lock.flush()
listener = socket.socket(socket.AF_UNIX)
listener.bind(str(address.socket_path()))
listener.listen()
signal.pause()
"""


def test_a_server_that_ignores_signals_is_killed(monkeypatch):
    monkeypatch.setattr(shutdown, "ASK_SECONDS", 0.2)
    monkeypatch.setattr(shutdown, "SIGNALS", ((signal.SIGTERM, 0.2), (signal.SIGKILL, 10)))
    with subprocess.Popen([sys.executable, "-c", STUBBORN, "serve"]) as process:
        while not address.socket_path().exists() or transport.connect() is None:
            time.sleep(0.02)
        told = shutdown.stop_server()
        assert told == f"server {process.pid} did not stop when asked and was ended (SIGKILL)"
        assert process.wait(10) == -signal.SIGKILL
    assert shutdown.stop_server() is None


def test_looking_up_the_server_does_not_block_a_starting_one(start_server):
    with address.lock_path().open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # as one who looks does, for a moment
        threading.Timer(0.03, lambda: fcntl.flock(lock, fcntl.LOCK_UN)).start()
        start_server(lambda *_: {})
    assert address.lock_holder() == os.getpid()


# Presses Ctrl-C while the module argv[1] is looked for.
PRESS = """
import os, signal, sys
class Presser:
    def find_spec(self, name, path=None, target=None):
        if name == pressed:
            os.kill(os.getpid(), signal.SIGINT)
pressed = sys.argv.pop(1)
sys.meta_path.insert(0, Presser())
from git_copilot.assistant.entry import main
sys.exit(main())
"""
INTERRUPTED = b"git-copilot: interrupted; what was finished is kept\n"


@pytest.mark.parametrize(
    "module",
    ["socket", "git_copilot.assistant.client.transport", "git_copilot.assistant.cli.main", "click",
     "git_copilot.assistant.cli.commands.complete"],
)  # fmt: skip
def test_ctrl_c_during_import_is_one_line(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PRESS, module, "complete", "a.py:1", "--no-server"],
        cwd=tmp_path, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", INTERRUPTED)


def test_the_installed_command_enters_through_the_interrupt_handler():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert scripts == {"git-copilot": "git_copilot.assistant.entry:main"}


def test_ctrl_c_during_a_server_call_is_one_line(unresponsive_server, tmp_path):
    unresponsive_server.settimeout(30)
    with subprocess.Popen(
        [sys.executable, "-m", "git_copilot.assistant.entry", "complete", "a.py:1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        connection, _ = unresponsive_server.accept()
        with connection:
            assert connection.recv(10) != b""  # it has asked
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, b"", INTERRUPTED)
