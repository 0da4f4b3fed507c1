"""The server as a service of the user's login."""

from __future__ import annotations

import io
import plistlib
import sys

import pytest

from git_copilot.assistant.cli.http_options import HttpOptions
from git_copilot.assistant.cli.login_service import (
    install_service,
    service_file,
    uninstall_service,
)
from git_copilot.assistant.cli.main import dispatch
from git_copilot.assistant.core.error_handler import run_guarded
from git_copilot.assistant.core.terminal import Terminal
from git_copilot.assistant.http.address import HttpAddress
from git_copilot.assistant.service.service import Service
from git_copilot.index.core.errors import USER_PROBLEM, CopilotError


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
        script.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {calls}\n'
            '[ -z "$SAYS" ] || printf "$SAYS" >&2\nexit ${FAIL:-0}\n'
        )
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


def test_what_the_service_manager_says_is_told_with_the_way_without_it(http, manager, monkeypatch):
    monkeypatch.setenv("FAIL", "1")
    monkeypatch.setenv("SAYS", "Failed to connect to bus:\\nNo medium found\\n")
    with pytest.raises(CopilotError) as told:
        install_service(http, "linux")
    assert told.value.message == (
        f"{service_file('linux')} was written, but is not enabled: "
        "`systemctl --user daemon-reload`: Failed to connect to bus: No medium found"
    )
    assert f"`git copilot serve --http 127.0.0.1:0 --token-file '{http.token_file}'`" in (
        told.value.hint
    )
    assert "copilot.http" in told.value.hint and "systemctl" not in told.value.hint
    assert told.value.exit_code == USER_PROBLEM and service_file("linux").exists()
    monkeypatch.delenv("SAYS")
    with pytest.raises(CopilotError, match=r"daemon-reload`: exit status 1"):
        install_service(http, "linux")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CopilotError, match="there is no systemctl here"):
        install_service(http, "linux")


@pytest.mark.parametrize("present", [True, False])
def test_uninstalling_without_the_service_manager_leaves_nothing_to_disable(
    http, manager, monkeypatch, present
):
    install_service(http, "linux")
    file = service_file("linux")
    link = file.parent / "default.target.wants" / file.name
    link.parent.mkdir()
    link.symlink_to(file)
    monkeypatch.setenv(*(("FAIL", "1") if present else ("PATH", "/nowhere")))
    monkeypatch.setenv("SAYS", "no bus")
    told = uninstall_service("linux")
    assert told.startswith(f"{file} removed; ") and "systemctl" in told
    assert ("no bus" in told) is present
    assert told.endswith("`git copilot serve --stop` ends a server that still runs")
    assert not file.exists() and not link.is_symlink()
    if present:
        assert manager()[-1] == "systemctl --user disable --now git-copilot.service"


def test_a_service_is_disabled_before_its_file_is_removed(http, manager, monkeypatch, tmp_path):
    install_service(http, "linux")
    script = tmp_path / "bin" / "systemctl"
    script.write_text(f"#!/bin/sh\ntest -e '{service_file('linux')}'\n")
    assert uninstall_service("linux") == f"{service_file('linux')} removed"


def test_a_service_without_http_is_refused(manager):
    with pytest.raises(CopilotError, match="without HTTP") as told:
        install_service(HttpOptions(None, None), "linux")
    assert "--http" in told.value.hint and "copilot.http" in told.value.hint
    assert not service_file("linux").exists() and manager() == []


def test_the_command_fails_where_the_service_was_not_enabled(hermetic, manager, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.chdir(hermetic)
    monkeypatch.setenv("FAIL", "1")
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(hermetic, lambda: b"", out, err)
    argv = ["serve", "--install", "--http", "127.0.0.1:0"]
    assert run_guarded(lambda: dispatch(argv, terminal, Service()), terminal) == USER_PROBLEM
    assert "is not enabled" in err.getvalue() and err.getvalue().count("\n") == 1
