"""The section of AGENTS.md."""

from __future__ import annotations

import pytest

from git_copilot.assistant.cli.agents_file import FILE, SECTION, add_section
from git_copilot.index.core.errors import CopilotError


def test_a_new_file_is_the_section_and_stays_it(tmp_path):
    assert add_section(tmp_path)
    assert (tmp_path / FILE).read_text() == SECTION
    assert not add_section(tmp_path)
    assert (tmp_path / FILE).read_text() == SECTION


def test_the_section_has_five_lines():
    assert len([line for line in SECTION.splitlines() if line]) == 5


@pytest.mark.parametrize("before", ["# Agents\n", "# Agents", "# Agents\r\n\r\nRules.\r\n"])
def test_what_is_there_stays(tmp_path, before):
    path = tmp_path / FILE
    path.write_bytes(before.encode())
    path.chmod(0o640)
    assert add_section(tmp_path)
    after = path.read_bytes().decode()
    newline = "\r\n" if "\r\n" in before else "\n"
    assert after == f"{before.rstrip()}{newline * 2}{SECTION.replace(chr(10), newline)}"
    assert path.stat().st_mode & 0o777 == 0o640


def test_bytes_that_are_not_utf8_stay(tmp_path):
    (tmp_path / FILE).write_bytes(b"caf\xe9\n")
    assert add_section(tmp_path)
    assert (tmp_path / FILE).read_bytes().startswith(b"caf\xe9\n\n##")


def test_a_link_within_the_repository_is_followed_and_stays(tmp_path):
    (tmp_path / "docs").mkdir()
    target = tmp_path / "docs" / "agents.md"
    target.write_text("# Agents\n")
    (tmp_path / FILE).symlink_to(target)
    assert add_section(tmp_path)
    assert (tmp_path / FILE).is_symlink()
    assert target.read_text().endswith(SECTION)


def test_a_link_that_leads_out_is_refused(tmp_path):
    root = tmp_path / "repository"
    root.mkdir()
    (tmp_path / "theirs").write_text("x")
    (root / FILE).symlink_to(tmp_path / "theirs")
    with pytest.raises(CopilotError, match="leads out of the repository"):
        add_section(root)
    assert (tmp_path / "theirs").read_text() == "x"


def test_a_folder_of_that_name_is_told(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(CopilotError, match=FILE):
        add_section(tmp_path)
