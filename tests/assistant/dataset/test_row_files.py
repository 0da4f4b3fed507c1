"""An output file is complete or unchanged, and rows are written as they are produced."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from git_copilot.assistant.dataset import row_files
from git_copilot.assistant.dataset.row_files import GROUP_ROWS, write_rows
from git_copilot.index.core.errors import CopilotError


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_full_disk_leaves_the_old_file(tmp_path, suffix):
    out = tmp_path / f"c.{suffix}"
    out.write_text("old")
    rows = [{"text": os.urandom(5000).hex()} for _ in range(100)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
    try:
        with pytest.raises(CopilotError, match="cannot write"):
            write_rows(out, ["text"], rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert out.read_text() == "old" and list(tmp_path.iterdir()) == [out]
    assert write_rows(out, ["text"], rows) == 100
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_rows_are_written_in_groups_as_they_are_produced(tmp_path, suffix):
    """A full group is handed to the disk before the next row is requested."""
    out = tmp_path / f"c.{suffix}"
    sizes = []

    def rows():
        for i in range(3 * GROUP_ROWS):
            if i % GROUP_ROWS == 0:
                (part,) = tmp_path.iterdir()
                sizes.append(part.stat().st_size)
            yield {"text": os.urandom(2000).hex()}

    assert write_rows(out, ["text"], rows()) == 3 * GROUP_ROWS
    assert sizes[1] > 10**6 and sizes[2] > 1.5 * sizes[1]


def test_groups_of_large_rows_are_small(monkeypatch, tmp_path):
    monkeypatch.setattr(row_files, "GROUP_CHARACTERS", 100)
    groups = list(row_files._groups({"text": "x" * 40} for _ in range(7)))
    assert [len(group) for group in groups] == [3, 3, 1]


def test_leftovers_of_a_killed_export_are_removed_by_the_next(tmp_path):
    out = tmp_path / "c[1].jsonl"
    with subprocess.Popen([sys.executable, "-c", "pass"]) as dead:
        dead.wait()
    left = tmp_path / f".c[1].jsonl.{dead.pid}"
    # The parent may be process 1.
    kept = {tmp_path / f".c[1].jsonl.{x}" for x in ("backup", os.getppid(), 1, 10**12)}
    for path in (left, *kept):
        path.write_text("x")
    write_rows(out, ["text"], [{"text": "a"}])
    assert sorted(tmp_path.iterdir()) == sorted([out, *kept])
