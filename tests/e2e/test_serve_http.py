"""`git copilot serve --http`, as a user starts it, and as it comes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

import httpx
import pytest

from git_copilot.assistant.http.token import default_token_file
from tests.support.commands import assert_one_line


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, token, **body):
    headers = {"Authorization": f"Bearer {token}"}
    url = f"http://127.0.0.1:{port}/v1/completions"
    return httpx.post(url, json=body, headers=headers, timeout=60)


def test_a_server_is_started_asked_and_stopped(copilot, project, port):
    address = f"127.0.0.1:{port}"
    done = copilot.run("serve", "--http", address)
    assert done.returncode == 0 and done.stdout == b""
    file = default_token_file()
    assert f"HTTP at http://{address}, token in {file}" in done.stderr.decode()
    token = file.read_text().strip()
    assert token not in done.stderr.decode()
    assert copilot.json("serve", "--status")["http"] == f"http://{address}"
    text = (project.path / "src/app.py").read_text()
    answer = ask(port, token, prompt=text, suffix="", max_tokens=4)
    assert answer.json()["usage"]["prompt_tokens"] > 0
    assert ask(port, "wrong", prompt=text).status_code == 401
    again = copilot.run("serve", "--http", address)
    assert again.returncode == 0 and "already running" in again.stderr.decode()
    copilot.ok("serve", "--stop")
    with pytest.raises(httpx.ConnectError):
        ask(port, token, prompt=text)


def test_a_server_without_http_makes_room_for_one_with_it(copilot, port):
    copilot.ok("serve")
    before = copilot.json("serve", "--status")["pid"]
    copilot.ok("serve", "--http", f"127.0.0.1:{port}", "--no-token")
    after = copilot.json("serve", "--status")
    assert after["pid"] != before and after["http"]
    assert httpx.get(f"http://127.0.0.1:{port}/v1/models").json()["data"]


def test_a_killed_server_comes_back_with_http(copilot, project, port):
    subprocess.run(["git", "config", "--global", "copilot.http", f"127.0.0.1:{port}"], check=True)
    first = copilot.json("complete", "src/app.py:5", "--max-tokens", "4")
    status = copilot.json("serve", "--status")
    assert status["http"] == f"http://127.0.0.1:{port}"
    os.kill(status["pid"], signal.SIGKILL)
    while copilot.json("serve", "--status")["running"]:
        time.sleep(0.05)
    second = copilot.json("complete", "src/app.py:5", "--max-tokens", "4")
    assert second["completion"] == first["completion"]
    again = copilot.json("serve", "--status")
    assert again["pid"] != status["pid"] and again["http"] == status["http"]
    token = default_token_file().read_text().strip()
    assert ask(port, token, prompt="x = ").is_success


def test_a_server_says_what_it_does_not_what_is_wished(copilot, port, tmp_path):
    address = f"127.0.0.1:{port}"
    copilot.ok("serve", "--http", address, "--no-token")
    assert "without a token" in copilot.run("serve", "--status").stderr.decode()
    before = copilot.json("serve", "--status")
    assert before["http_token_file"] is None
    file = tmp_path / "token"
    done = copilot.run("serve", "--http", address, "--token-file", file)
    assert f"token in {file}" in done.stderr.decode(), "it made room"
    after = copilot.json("serve", "--status")
    assert (after["http_token_file"], after["pid"] != before["pid"]) == (str(file), True)
    assert ask(port, "x", prompt="y").status_code == 401


def test_a_busy_port_of_the_settings_costs_http_alone(copilot, project, port):
    subprocess.run(["git", "config", "--global", "copilot.http", f"127.0.0.1:{port}"], check=True)
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        copilot.json("complete", "src/app.py:5", "--max-tokens", "4")
        status = copilot.json("serve", "--status")
        assert status["http"] is None and "cannot be opened" in status["http_problem"]
        assert "no HTTP" in copilot.ok("status")
        assert "without HTTP" in copilot.run("doctor").stdout.decode()
        # The server that runs is kept where the one that is asked for could not start.
        refused = copilot.run("serve", "--http", f"127.0.0.1:{port}")
        assert refused.returncode == 1
        assert copilot.json("serve", "--status")["pid"] == status["pid"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_in_the_foreground_says_goodbye(copilot, number):
    command = ["git-copilot", "serve", "--foreground"]
    with subprocess.Popen(command, cwd=copilot.path, stderr=subprocess.DEVNULL) as process:
        while not copilot.json("serve", "--status")["running"]:
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(20) in (0, 130)
    assert "died" not in copilot.json("status")["server"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--http", "0.0.0.0:8012"], 2, ["loopback"]),
        (["--http", "8012"], 2, ["HOST:PORT"]),
        (["--http", "127.0.0.1:0", "--no-token", "--token-file", "x"], 2, ["exclude"]),
    ],
)
def test_mistakes_are_told_in_one_line(copilot, options, code, words):
    assert_one_line(copilot.run("serve", *options), code, *words)


def test_a_port_in_use_and_a_token_of_others_are_told(copilot, port, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        told = assert_one_line(copilot.run("serve", "--http", f"127.0.0.1:{port}"), 1)
        assert "another program uses the port" in told
    token = tmp_path / "token"
    token.write_text("secret-token")
    token.chmod(0o644)
    done = copilot.run("serve", "--http", f"127.0.0.1:{port}", "--token-file", token)
    assert "secret-token" not in assert_one_line(done, 1, "may be read by others")
