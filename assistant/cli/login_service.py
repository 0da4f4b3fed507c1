"""Starts the server at login: a systemd user unit on Linux, a launchd agent on macOS."""

from __future__ import annotations

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from git_copilot.assistant.cli.http_options import HttpOptions
from git_copilot.index.core.errors import CopilotError
from git_copilot.index.core.files import write_atomically

LABEL = "git-copilot"
COMMAND_SECONDS = 20
# What the server's socket and its data depend on (client/address.py).
ENVIRONMENT = (
    "GIT_COPILOT_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME", "GIT_CONFIG_GLOBAL",
    "GIT_CEILING_DIRECTORIES",
)  # fmt: skip


def install_service(http: HttpOptions, platform: str = sys.platform) -> str:
    """Write the service and enable it; say what was done.

    :raises CopilotError: the file cannot be written.
    """
    http.check()
    command = [
        *(sys.executable, "-P", "-m", "git_copilot.assistant.entry"),
        *("serve", "--foreground", *http.arguments()),
    ]
    environment = {name: os.environ[name] for name in ENVIRONMENT if os.environ.get(name)}
    file = service_file(platform)
    data = (
        _launchd(command, environment) if platform == "darwin" else _systemd(command, environment)
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, data)
    except OSError as exc:
        raise CopilotError(
            f"{file} cannot be written ({exc.strerror})", "check its folder's permissions"
        ) from exc
    return _run(_enabling(platform, file), f"{file} written")


def uninstall_service(platform: str = sys.platform) -> str:
    """Disable the service and remove it; say what was done."""
    file = service_file(platform)
    if not file.exists():
        return "the server is not installed as a service"
    told = _run(_disabling(platform, file), f"{file} removed")
    file.unlink(missing_ok=True)
    return told


def service_file(platform: str = sys.platform) -> Path:
    """Where the service is described."""
    if platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
    named = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    base = named if named.is_absolute() else Path.home() / ".config"
    return base / "systemd" / "user" / f"{LABEL}.service"


def _systemd(command: list[str], environment: dict[str, str]) -> bytes:
    settings = "".join(f"Environment={_quoted(f'{k}={v}')}\n" for k, v in environment.items())
    return (
        "[Unit]\n"
        "Description=git-copilot completion server\n\n"
        "[Service]\n"
        f"ExecStart={' '.join(map(_quoted, command))}\n"
        f"{settings}"
        "Restart=on-failure\n"
        "Nice=5\n\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    ).encode()


def _quoted(word: str) -> str:
    """A word of a systemd command line, where ``%`` and ``$`` have meanings of their own."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _launchd(command: list[str], environment: dict[str, str]) -> bytes:
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": command,
            "EnvironmentVariables": environment,
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
        }
    )


def _enabling(platform: str, file: Path) -> list[list[str]]:
    if platform == "darwin":
        return [["launchctl", "load", "-w", str(file)]]
    unit = file.name
    return [
        ["systemctl", "--user", "daemon-reload"],
        ["systemctl", "--user", "enable", "--now", unit],
        ["systemctl", "--user", "restart", unit],
    ]


def _disabling(platform: str, file: Path) -> list[list[str]]:
    if platform == "darwin":
        return [["launchctl", "unload", "-w", str(file)]]
    return [["systemctl", "--user", "disable", "--now", file.name]]


def _run(commands: list[list[str]], done: str) -> str:
    """Run the commands of the service manager; say ``done``, and what is left to the user."""
    for number, command in enumerate(commands):
        left = " && ".join(shlex.join(each) for each in commands[number:])
        if shutil.which(command[0]) is None:
            return f"{done}; {command[0]} is not here, so run `{left}` where it is"
        try:
            run = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS)
        except (OSError, subprocess.TimeoutExpired):
            return f"{done}; `{command[0]}` does not answer, so run `{left}` yourself"
        if run.returncode:
            return f"{done}; `{shlex.join(command)}` failed, so run `{left}` yourself"
    return done
