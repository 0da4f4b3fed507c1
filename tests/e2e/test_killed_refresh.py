"""A refresh that is killed anywhere leaves the adapter in use as it was, and can be run again.

``GIT_COPILOT_KILLS=50`` kills more often than the suite has time for.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

from git_copilot.assistant.adapters import adapter_store
from git_copilot.index.git.repository import GitRepository
from tests.e2e.test_background_commands import write_history

KILLS = int(os.environ.get("GIT_COPILOT_KILLS", "4"))
SIZES = ("--holes", "30", "--held-out", "40")


def started(project):
    return subprocess.Popen(
        ["git-copilot", "refresh", *SIZES],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_a_killed_refresh_costs_nothing_but_time(copilot, project):
    write_history(project, 24)
    copilot.ok("status", "--wait", "--timeout", "60")
    begun = time.monotonic()
    first = copilot.run("refresh", *SIZES, "--json")
    took = time.monotonic() - begun
    assert first.returncode in (0, 4), first.stderr
    (adapter,) = copilot.json("adapter", "list")
    copilot.ok("adapter", "use", adapter["id"])
    before = copilot.json("complete", "src/app.py:5", "--no-server")
    assert before["adapter"] == adapter["id"]
    state, seen = GitRepository.discover(project.path).state_dir, {adapter["id"]}
    rng = random.Random(0)
    for i in range(KILLS):
        # Something new, so that a run that was not killed in time does not make the next one idle.
        project.commit(
            {f"src/new_{i}.py": f"def new_{i}(first, second):\n    return first + {i}\n"}
        )
        process = started(project)
        time.sleep(took * (i + rng.random()) / KILLS)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for name in adapter_store.ids(state):
            adapter_store.check_files(adapter_store.adapters_dir(state) / name, name)
        seen.update(adapter_store.ids(state))
        current = adapter_store.current_adapter(state)
        assert current in seen | {None}
        answer = copilot.json("complete", "src/app.py:5", "--no-server")
        assert answer["adapter"] == current
        if current == adapter["id"]:
            assert answer["completion"] == before["completion"]
        assert copilot.json("status")["refresh"]["pid"] is None
    done = copilot.run("refresh", *SIZES, "--json")
    assert done.returncode in (0, 4), done.stderr
    assert not (adapter_store.adapters_dir(state) / ".work").exists()
    left = [p.name for p in adapter_store.adapters_dir(state).iterdir() if p.name[0] == "."]
    assert set(left) <= {".lock", ".background.lock"}, left
