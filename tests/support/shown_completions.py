"""Records completions as shown in a buffer, and loads the examples that commits made of them."""

from __future__ import annotations

import time

from git_copilot.index.corpus.feedback_store import ShownCompletion, feedback_weights, record_shown
from git_copilot.index.corpus.mining import load_holes
from git_copilot.index.corpus.outcome import cursor_context

HEAD = "import math\n\n\ndef area(width, height):\n    total = width * height\n"
TAIL = "    return total\n\n\ndef unrelated(value):\n    return math.floor(value)\n"
NOW = int(time.time())


def record_completion(
    db, buffer, completion, *, path="a.py", name="c1", when=NOW, model="m", adapter=None, **more
):
    """Record a completion as shown at the ``|`` in a buffer; ``more`` are fields of
    :class:`ShownCompletion`."""
    prefix, _, suffix = buffer.replace("\r\n", "\n").partition("|")
    spot = cursor_context(prefix, suffix, prefix.count("\n") + 1)
    record_shown(db, ShownCompletion(name, when, path, spot, completion, model, adapter, **more))


def feedback_examples(git, db):
    """Holes made from feedback, by commit: (middle, weight, text before it on its line). Also checks
    that prefix, middle and suffix make up the blob."""
    found = {}
    oids = [str(oid) for (oid,) in db.query("SELECT oid FROM commits")]
    for hole in load_holes(db, oids):
        if hole.kind != "completion":
            continue
        data = git.read_blob(hole.blob)
        prefix, middle, suffix = data[: hole.start], data[hole.start : hole.end], data[hole.end :]
        assert prefix + middle + suffix == data
        weight = feedback_weights(db, [hole.id])[hole.id]
        found.setdefault(hole.commit, []).append(
            (middle.decode(), weight, prefix.decode().rpartition("\n")[2])
        )
    return found


def feedback_ids(db):
    return [str(name) for (name,) in db.query("SELECT id FROM feedback ORDER BY id")]
