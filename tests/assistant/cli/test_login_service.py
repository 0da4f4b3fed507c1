"""The server as a service of the user's login."""

from __future__ import annotations

import plistlib
import sys

import pytest

from git_copilot.assistant.cli.http_options import HttpOptions
from git_copilot.assistant.cli.login_service import (
    install_service,
    service_file,
    uninstall_service,
)
from git_copilot.assistant.http.address import HttpAddress


@pytest.fixture
def http(tmp_path):
    return HttpOptions(HttpAddress("127.0.0.1", 0), tmp_path / "a token")


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """A service manager that writes down how it is called, and fails where it is told to."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    for name in ("systemctl", "launchctl"):
        script = folder / name
        script.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\nexit ${{FAIL:-0}}\n')
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return lambda: calls.read_text().splitlines() if calls.exists() else []


def test_a_systemd_unit_starts_this_installation(http, manager, monkeypatch):
    monkeypatch.setenv("GIT_COPILOT_CACHE", '/a "b" 100%')
    told = install_service(http, "linux")
    text = service_file("linux").read_text()
    assert f'ExecStart="{sys.executable}" "-P" "-m" "git_copilot.assistant.entry" "serve"' in text
    assert '"--http" "127.0.0.1:0" "--token-file"' in text
    assert 'Environment="GIT_COPILOT_CACHE=/a \\"b\\" 100%%"' in text
    assert told.endswith("written")
    assert manager()[0] == "systemctl --user daemon-reload"
    assert manager()[1].startswith("systemctl --user enable --now git-copilot.service")
    assert uninstall_service("linux").endswith("removed")
    assert not service_file("linux").exists()
    assert uninstall_service("linux") == "the server is not installed as a service"


def test_a_launchd_agent_starts_this_installation(http, manager):
    install_service(http, "darwin")
    found = plistlib.loads(service_file("darwin").read_bytes())
    assert found["ProgramArguments"][:2] == [sys.executable, "-P"] and found["RunAtLoad"]
    assert manager() == [f"launchctl load -w {service_file('darwin')}"]
    uninstall_service("darwin")
    assert manager()[-1].startswith("launchctl unload -w")


def test_what_the_service_manager_refuses_is_left_to_the_user(http, manager, monkeypatch):
    monkeypatch.setenv("FAIL", "1")
    told = install_service(http, "linux")
    assert "`systemctl --user daemon-reload` failed" in told and "enable --now" in told
    monkeypatch.setenv("PATH", "/nowhere")
    assert "systemctl is not here, so run `systemctl" in install_service(http, "linux")


def test_without_http_the_service_serves_the_socket(manager):
    install_service(HttpOptions(None, None), "linux")
    assert "--http" not in service_file("linux").read_text()
