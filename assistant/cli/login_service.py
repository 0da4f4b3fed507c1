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
WANTED_BY = "default.target"
COMMAND_SECONDS = 20
MOST_CHARACTERS = 200
# What the server's socket and its data depend on (client/address.py).
ENVIRONMENT = (
    "GIT_COPILOT_CACHE", "XDG_CACHE_HOME", "XDG_DATA_HOME", "GIT_CONFIG_GLOBAL",
    "GIT_CEILING_DIRECTORIES",
)  # fmt: skip


def install_service(http: HttpOptions, platform: str = sys.platform) -> str:
    """Write the service and enable it; say what was done.

    :raises CopilotError: there is no HTTP address, the file cannot be written, or the service
        manager does not enable the service.
    """
    if http.address is None:
        raise CopilotError(
            "a service without HTTP would end as soon as it is idle",
            "name an address with --http HOST:PORT, or set copilot.http",
        )
    http.check()
    arguments = http.arguments()
    command = [
        *(sys.executable, "-P", "-m", "git_copilot.assistant.entry"),
        *("serve", "--foreground", *arguments),
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
    reason = _run(_enabling(platform, file))
    if reason is None:
        return f"{file} written"
    raise CopilotError(
        f"{file} was written, but is not enabled: {reason}",
        f"without a service manager, put `git copilot serve {shlex.join(arguments)}` into the "
        "profile of your shell, or set copilot.http for every server",
    )


def uninstall_service(platform: str = sys.platform) -> str:
    """Disable the service and remove it; say what was done.

    :raises CopilotError: the file cannot be removed.
    """
    file = service_file(platform)
    enabled = file.parent / f"{WANTED_BY}.wants" / file.name  # what systemctl makes of a service
    if not file.exists() and not enabled.is_symlink():
        return "the server is not installed as a service"
    reason = _run(_disabling(platform, file))
    try:
        enabled.unlink(missing_ok=True)
        file.unlink(missing_ok=True)
    except OSError as exc:
        raise CopilotError(
            f"{file} cannot be removed ({exc.strerror})", "check its folder's permissions"
        ) from exc
    if reason is None:
        return f"{file} removed"
    return f"{file} removed; {reason}; `git copilot serve --stop` ends a server that still runs"


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
        f"WantedBy={WANTED_BY}\n"
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


def _run(commands: list[list[str]]) -> str | None:
    """Run the commands of the service manager up to the first that fails; in a line, why it did."""
    for command in commands:
        shown = shlex.join(command)
        if shutil.which(command[0]) is None:
            return f"there is no {command[0]} here"
        try:
            run = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            return f"`{shown}` did not end within {COMMAND_SECONDS} s"
        except OSError as exc:
            return f"`{shown}` does not start ({exc.strerror})"
        if run.returncode:
            told = " ".join((run.stderr or run.stdout).decode("utf-8", "replace").split())
            return f"`{shown}`: {told[:MOST_CHARACTERS] or f'exit status {run.returncode}'}"
    return None
