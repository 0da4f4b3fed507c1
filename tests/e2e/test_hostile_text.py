"""Names, code, authors and messages that a terminal would obey, through every command that shows
them: on a terminal they are spelt out, on a pipe and in JSON they are what they are."""

from __future__ import annotations

import glob
import json
import os

import pytest

from tests.support.commands import Copilot
from tests.support.terminal_screens import run_on_terminal, unsafe_characters

EVIL = "\x1b]0;OWNED\x07\x1b[31m\x9b2J\u202e"
NAME = f"ti{EVIL}tle.py"
CODE = f'def needle(alpha):\n    "{EVIL} \x08\x0c\x7f"\n    return alpha + 1\n'


@pytest.fixture
def hostile_repo(project):
    """An initialised repository with hostile names, code, authors and messages."""
    eve = {"GIT_AUTHOR_NAME": f"Eve{EVIL}"}
    files = {NAME: CODE, "new\nline.py": CODE.replace("needle", "needle_two")}
    project.commit(files, f"fix {EVIL}", **eve)
    more = "\n\ndef more(alpha):\n    x = alpha + 1\n    y = x + alpha\n    return needle(y)\n"
    project.commit({NAME: CODE + more}, f"more {EVIL}", **eve)
    commands = Copilot(project.path)
    commands.ok("init")
    yield commands
    commands.run("serve", "--stop")


COMMANDS = [
    (["search", "needle", "alpha"], 0),
    (["search", f"nowhere{EVIL}"], 0),
    (["complete", f"{NAME}:3", "--explain"], 0),
    (["status"], 0),
    (["corpus"], 0),
    (["corpus", "sample", "-n", "20"], 0),
    (["corpus", "explain", "1"], 0),
    (["corpus", "sample", "--author", EVIL + "x"], 1),
    (["forget", "--dry-run", NAME], 0),
    (["forget", "--dry-run", f"Eve{EVIL}"], 0),
    (["adapter", "show", EVIL], 1),
    (["model", "use", EVIL], 1),
    (["complete", f"no{EVIL}.py:3"], 1),
    (["complete", f"{NAME}:99"], 1),
    (["complete", f"{NAME}:3", "--at", EVIL], 1),
    (["complete", f"{NAME}:3", EVIL], 2),
    (["complete", f"{NAME}:3", f"--{EVIL}"], 2),
    (["feedback", EVIL, "accepted"], 1),
    ([EVIL], 2),
    (["doctor"], None),
]


def test_no_command_sends_hostile_text_to_a_terminal(hostile_repo):
    for args, code in COMMANDS:
        got, status = run_on_terminal(["git-copilot", *args], hostile_repo.path)
        assert got.strip(), args
        assert unsafe_characters(got) == [], (args, got)
        assert "\x1b[31m\x1b" not in got and "OWNED\x07" not in got
        assert status == code or code is None, (args, got)
    hostile_repo.ok("forget", NAME)
    got, _ = run_on_terminal(["git-copilot", "forget", "--list"], hostile_repo.path)
    assert r'"ti\033]0;OWNED\a\033[' in got and unsafe_characters(got) == []


def test_settings_are_shown_escaped(hostile_repo, project):
    project.git("config", "copilot.endpoint", f"http://127.0.0.1:9/{EVIL}")
    project.git("config", "copilot.maxTokens", EVIL)
    for args in (["status"], ["doctor"], ["complete", f"{NAME}:3"]):
        got, _ = run_on_terminal(["git-copilot", *args], hostile_repo.path)
        assert got.strip() and unsafe_characters(got) == [], (args, got)


def test_each_stream_is_judged_by_itself(hostile_repo):
    """stderr is a terminal and stdout is not, with and without the server."""
    hostile_repo.ok("complete", f"{NAME}:3")
    for more in ([], ["--no-server"]):
        args = ["git-copilot", "complete", f"{NAME}:3", "--explain", *more]
        got, status = run_on_terminal(args, hostile_repo.path, stdout_too=False)
        assert status == 0 and "prompt text:" in got and unsafe_characters(got) == []


def test_pipes_and_json_keep_the_bytes(hostile_repo):
    for env in ({}, {"GIT_COPILOT_SERVER": "0"}):
        plain = hostile_repo.run("search", "needle", "alpha", **env).stdout
        assert NAME.encode() in plain and b"new\nline.py" in plain and EVIL.encode() in plain
        hits = hostile_repo.json("search", "needle", "alpha", **env)["hits"]
        assert {NAME, "new\nline.py"} <= {hit["path"] for hit in hits}
    listed = hostile_repo.json("forget", "--dry-run", NAME)
    assert listed["value"] == glob.escape(NAME)


ODD = [
    b"new\nline.py", b"tab\there.py", b'quote".py', b"back\\slash.py", b"-n.py", b"--json.py",
    b" lead.py", b"trail .py", b"%s{x}.py", b"*.py", b":(glob)x.py", b"!x.py", b"con:12:3.py",
    b"x.py:12", b"latin\xe9.py", b"bad\xff\xfe.py", "c1\x9b.py".encode(), b"cr\r.py",
]  # fmt: skip


def test_every_odd_file_name_is_found_and_completed(project):
    for number, name in enumerate(ODD):
        code = f"def needle_{number}(alpha):\n    return alpha\n"
        (project.path / os.fsdecode(name)).write_text(code)
    project.git("add", "-A", ".")
    project.git("commit", "-q", "-m", "odd names")
    commands = Copilot(project.path)
    commands.ok("init")
    hits = commands.json("search", "needle", "alpha", "-n", "60")["hits"]
    assert {os.fsencode(hit["path"]) for hit in hits} >= set(ODD)
    try:
        for name in ODD:
            place = os.fsdecode(name) + ":2"
            done = commands.run("complete", "--json", "--max-tokens", "1", "--", place)
            assert done.returncode == 0, (name, done.stderr)
            assert os.fsencode(json.loads(done.stdout)["file"]) == name
    finally:
        commands.run("serve", "--stop")
