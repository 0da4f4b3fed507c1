"""Tabby's agent from npm, which its editors' extensions run."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess

import pytest

from tests.support.commands import REAL_HOME
from tests.support.stdio_client import eventually

PACKAGE = "tabby-agent@1.5.0"


@pytest.fixture(scope="session")
def agent_program(tmp_path_factory):
    """The agent's script, installed once."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("tabby")
    command = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts"]
    environment = {**os.environ, "HOME": REAL_HOME}
    try:
        done = subprocess.run(
            [*command, PACKAGE], capture_output=True, text=True, timeout=120, env=environment
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm does not install {PACKAGE} within two minutes")
    if done.returncode:
        pytest.skip(f"npm cannot install {PACKAGE}: {done.stderr.strip()[-200:]}")
    return folder / "node_modules/tabby-agent/dist/cli.js"


class Agent:
    """Calls functions of an agent: a line of JSON out, a line with the same number back."""

    def __init__(self, program, home):
        self._process = subprocess.Popen(
            ["node", program, "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(home)},
            text=True,
        )
        self._number = 0

    def call(self, function, *arguments):
        self._number += 1
        asked = json.dumps([self._number, {"func": function, "args": arguments}])
        self._process.stdin.write(f"{asked}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            number, answer = json.loads(line)
            if number == self._number:
                return answer
        raise AssertionError("the agent ended")

    def stop(self):
        self._process.kill()
        self._process.wait(10)


@pytest.fixture
def start_agent(agent_program, tmp_path):
    """Starts agents with a configuration file as docs/editors/tabby.md shows it."""
    started = []

    def start(endpoint, token):
        folder = tmp_path / ".tabby-client/agent"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(
            f'[server]\nendpoint = "{endpoint}"\ntoken = "{token}"\n'
            "[anonymousUsageTracking]\ndisable = true\n"
        )
        agent = Agent(agent_program, tmp_path)
        started.append(agent)
        assert agent.call("initialize", {"clientProperties": {"session": {"client": "test 1.0"}}})
        return agent

    yield start
    for agent in started:
        agent.stop()


def ask(agent, served, place):
    before, after, _ = place
    return agent.call(
        "provideCompletions",
        {
            "filepath": str(served.path / "src/shapes.py"),
            "language": "python",
            "text": before + after,
            "position": len(before),
            "manually": True,
        },
        {"signal": True},
    )


def test_the_agent_connects_and_reads_what_the_server_is(served, start_agent):
    agent = start_agent(served.url, served.token)
    assert agent.call("getStatus") == "ready"
    health = agent.call("getServerHealthState")
    assert (health["model"], health["device"]) == ("git-copilot", "cpu")
    assert health["version"]["git_describe"].startswith("v0.")


def test_a_completion_stands_at_the_cursor(served, start_agent, place):
    agent = start_agent(served.url, served.token)
    answer = ask(agent, served, place)
    (choice,) = answer["choices"]
    assert choice["text"] == place[2]
    assert choice["replaceRange"] == {"start": len(place[0]), "end": len(place[0])}
    assert "src/shapes.py" in served.prompts[-1]


def test_an_accepted_completion_is_kept_as_feedback(served, start_agent, place):
    agent = start_agent(served.url, served.token)
    answer = ask(agent, served, place)
    event = {"type": "select", "completion_id": answer["id"], "choice_index": 0}
    assert agent.call("postEvent", event)
    database = served.path / ".git/copilot/copilot.db"
    query = "SELECT outcome FROM feedback WHERE id = ?"

    def outcome():
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
            return db.execute(query, (answer["id"],)).fetchone()

    eventually(lambda: outcome() == ("accepted",))
    # The completion behind it is prepared. A later test must not meet it.
    eventually(lambda: len(served.prompts) == 2)


def test_a_wrong_token_is_noticed(served, start_agent, place):
    agent = start_agent(served.url, "wrong")
    assert agent.call("getStatus") == "unauthorized"
    assert not served.prompts
