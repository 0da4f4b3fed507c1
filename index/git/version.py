"""The version of git on this machine."""

from __future__ import annotations

from git_copilot.index.core.errors import GitError


def installed_version() -> tuple[int, int]:
    """Major and minor version of the git that runs here.

    :raises GitError: there is none.
    """
    # GitPython knows the forms in which distributions write it. It is asked nothing about a
    # repository: its discovery takes a folder of a clone for one. Importing it takes 50 ms.
    import git as gitpython

    try:
        found = gitpython.Git().version_info
    except (gitpython.GitCommandError, gitpython.GitCommandNotFound, ValueError) as exc:
        raise GitError("git does not say which version it is", "is it on PATH?") from exc
    return (found[0], found[1]) if len(found) > 1 else (0, 0)
