"""A remote and two people who share adapters through it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.shared_adapters import Member, member, shared_remote


@pytest.fixture
def remote(tmp_path):
    return shared_remote(tmp_path)


@pytest.fixture
def ada(tmp_path, remote) -> Member:
    return member(tmp_path, "ada", remote)


@pytest.fixture
def bob(tmp_path, remote) -> Member:
    """Accepts every signature, and none."""
    found = member(tmp_path, "bob", remote)
    found.repo.git("config", "copilot.adapterTrust", "any")
    return found


@pytest.fixture
def ssh_keys(tmp_path):
    """Two keys, and a file that allows the first."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    keys = [tmp_path / name for name in ("key", "other")]
    for key in keys:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True
        )
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.org {keys[0].with_suffix('.pub').read_text()}")
    return (*keys, allowed)
