"""The worker's jobs on a real repository."""

from __future__ import annotations

import time

from git_copilot.assistant.worker.jobs import mine_job
from git_copilot.index.corpus import feedback_outcomes
from git_copilot.index.corpus.feedback_statistics import statistics
from tests.support.shown_completions import HEAD, TAIL, record_completion


def test_mining_looks_at_what_was_accepted_thirty_days_ago(opened_repo):
    repo, git, db = opened_repo
    repo._clock = int(time.time()) - 60
    repo.commit({"a.py": HEAD + TAIL})
    record_completion(db, HEAD + "    area = |\n" + TAIL, "total * 2")
    feedback_outcomes.record_outcome(db, "c1", "accepted")
    repo._clock = int(time.time()) + 60
    repo.commit({"a.py": HEAD + "    area = total * 2\n" + TAIL})
    mine_job(git.git_dir)
    characters = statistics(db)["characters"]
    assert (characters["at_commit"]["of"], characters["after_30_days"]["of"]) == (9, 0)
    db.connection.execute("UPDATE commits SET time = time - 31 * 86400")
    mine_job(git.git_dir)
    assert statistics(db)["characters"]["after_30_days"] == {"characters": 9, "of": 9, "share": 1.0}
