"""Draw docs/terminal.svg from a real run: ``python docs/terminal_picture.py [--out FILE]``.

Runs `init`, a commit, `search` and `complete` on a temporary clone of this repository, each in a
pseudo-terminal, and renders what they print. Takes about half a minute once the models are there.
Standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from html import escape
from pathlib import Path

from git_copilot.assistant.core.config import cache_dir

ROOT = Path(__file__).resolve().parent.parent
ROWS, COLUMNS = 50, 108
DEFAULT_CACHE = "~/.cache/git-copilot"

HELPER = '''"""Times in the words of a person."""


def humanize_elapsed(seconds: float) -> str:
    """Return "350 ms", "12 s" or "3 min"."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
'''
CALLER = '''"""Tells the user what a job took."""

import time


def report_job(name: str, started: float) -> str:
    """One line about a job that just ended."""
    seconds = time.monotonic() - started
    took = humanize
'''
# Shown commands; None waits, unseen, until the hook's worker has indexed the commit.
STEPS = (
    "git copilot init",
    "git add assistant/elapsed.py && git commit -q -m 'Say how long things took'",
    None,
    "git copilot search -n 1 humanize_elapsed",
    "tail -n 2 assistant/report.py",
    "git copilot complete assistant/report.py:9",
)

Cell = tuple[str, str]  # a character and its SGR parameters, such as "36;1"
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#d29922", "34": "#79c0ff", "36": "#76e3ea"}
TEXT, DIM, BACKGROUND, PROMPT = "#e6edf3", "#8b949e", "#0d1117", "#7ee787"
# Pixels.
CELL, LINE, PADDING, BAR, FONT = 7.8, 18, 16, 32, 13
_ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def run_in_terminal(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Everything that ``command`` writes to a terminal of :data:`COLUMNS` columns.

    :raises subprocess.CalledProcessError: it failed.
    """
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    written = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:  # Linux says so when the last process that had the terminal is gone
            break
        if not block:
            break
        written += block
    os.close(leader)
    if process.wait() != 0:
        raise subprocess.CalledProcessError(process.returncode, command, written)
    return written.decode("utf-8", "replace")


def screen_lines(written: str) -> list[list[Cell]]:
    """The lines that a terminal shows: returns, erased lines and colours are carried out."""
    lines: list[list[Cell]] = [[]]
    style, column, position = "", 0, 0
    while position < len(written):
        found = _ESCAPE.match(written, position)
        if found:
            if found[2] == "m":
                style = "" if found[1] in ("", "0") else found[1]
            elif found[2] == "K":
                del lines[-1][column:]
            position = found.end()
            continue
        character = written[position]
        position += 1
        if character == "\n":
            lines.append([])
            column = 0
        elif character == "\r":
            column = 0
        else:
            if column == COLUMNS:
                lines.append([])
                column = 0
            lines[-1][column : column + 1] = [(character, style)]
            column += 1
    while lines and not lines[-1]:
        lines.pop()
    return lines


def spans(line: list[Cell]) -> str:
    """A line as SVG, one element for each run of one style."""
    drawn, start = "", 0
    while start < len(line):
        style = line[start][1]
        end = start
        while end < len(line) and line[end][1] == style:
            end += 1
        text = escape("".join(character for character, _ in line[start:end]), quote=False)
        codes = style.split(";")
        colour = next((COLOURS[code] for code in codes if code in COLOURS), "")
        colour = style if style.startswith("#") else colour or (DIM if "2" in codes else "")
        attributes = f' fill="{colour}"' if colour else ""
        attributes += ' font-weight="bold"' if "1" in codes else ""
        drawn += f"<tspan{attributes}>{text}</tspan>" if attributes else text
        start = end
    return drawn


def draw(lines: list[list[Cell]]) -> str:
    """The picture of a terminal that shows ``lines``."""
    width = round(COLUMNS * CELL + 2 * PADDING)
    height = BAR + len(lines) * LINE + PADDING
    dots = "".join(
        f'<circle cx="{PADDING + 6 + 18 * place}" cy="{BAR // 2}" r="5" fill="{colour}"/>'
        for place, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    texts = "\n".join(
        f'<text x="{PADDING}" y="{BAR + LINE * (row + 1) - 5}">{spans(line)}</text>'
        for row, line in enumerate(lines)
        if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" xml:space="preserve">\n'
        "<title>git copilot init, a commit, search and complete in a terminal</title>\n"
        "<style>text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "
        f"'DejaVu Sans Mono', monospace; font-size: {FONT}px; fill: {TEXT}; "
        "white-space: pre; }</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="{BACKGROUND}"/>\n'
        f"{dots}\n{texts}\n</svg>\n"
    )


def record(work: Path) -> list[list[Cell]]:
    """Run :data:`STEPS` in a clone below ``work``; the lines that a person would have seen."""
    home, project = work / "home", work / "project"
    cache = str(cache_dir())
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(work / "run"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "GIT_COPILOT_CACHE": cache,
        "TERM": "xterm-256color",
    }
    home.mkdir()
    (work / "run").mkdir(mode=0o700)
    subprocess.run(["git", "clone", "--quiet", ROOT, project], check=True, env=environment)
    for name, value in {"user.name": "Demo", "user.email": "demo@example.org"}.items():
        subprocess.run(["git", "config", name, value], cwd=project, check=True, env=environment)
    (project / "assistant" / "elapsed.py").write_text(HELPER)
    (project / "assistant" / "report.py").write_text(CALLER)
    shown: list[list[Cell]] = []
    # The server that keeps the model warm, started unseen: it would say so in between.
    serve = ["git-copilot", "serve"]
    try:
        for step in STEPS:
            if step is None:
                subprocess.run(
                    ["git-copilot", "status", "--wait"],
                    cwd=project, env=environment, check=True, capture_output=True,
                )  # fmt: skip
                subprocess.run(serve, cwd=project, env=environment, check=True, capture_output=True)
                continue
            written = run_in_terminal(step, project, environment).replace(cache, DEFAULT_CACHE)
            if shown:
                shown.append([])
            shown.append([("$", PROMPT), (" ", ""), *((character, "") for character in step)])
            shown += screen_lines(written)
    finally:
        subprocess.run([*serve, "--stop"], cwd=project, env=environment, capture_output=True)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "terminal.svg")
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as work:
        picture = draw(record(Path(work)))
    out.write_text(picture, "utf-8")


if __name__ == "__main__":
    main()
