"""The version of git on this machine."""

from __future__ import annotations

from git_copilot.index.core.errors import GitError


def installed_version() -> tuple[int, int]:
    """Major and minor version of the installed git.

    :raises GitError: git is missing, or its version cannot be determined.
    """
    # GitPython knows how distributions format the version. It is not used for repositories, since
    # its discovery accepts a folder of a clone as one. Importing it takes 50 ms.
    import git as gitpython

    try:
        found = gitpython.Git().version_info
    except (gitpython.GitCommandError, gitpython.GitCommandNotFound, ValueError) as exc:
        raise GitError(
            "the version of git cannot be determined", "check that git is on PATH"
        ) from exc
    return (found[0], found[1]) if len(found) > 1 else (0, 0)
