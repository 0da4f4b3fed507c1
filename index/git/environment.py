"""What every git process of ours is started with: variables that must not reach it, and settings
that a repository's own configuration cannot undo. Standard library only: hooks import this."""

from __future__ import annotations

import os
from collections.abc import Iterable

# What git exports to hooks. Left in place it makes later commands read another repository
# or another index (a worker that outlives next-index-*.lock sees every file as deleted).
REPOSITORY_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_NAMESPACE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "GIT_REFLOG_ACTION",
    "GIT_QUARANTINE_PATH",
    # Overrides -U0: hunks would no longer be what was added.
    "GIT_DIFF_OPTS",
)
# A command of the user's that shows differences in git's place.
_NOT_FOR_US = (*REPOSITORY_VARIABLES, "GIT_EXTERNAL_DIFF")

# A repository's own configuration may come from somebody else (an archive, a folder that looks
# like a repository). Keys whose value git runs, or on which it starts another process, are set on
# the command line, which nothing overrides. Filters have names of their own: see repository.py. What is
# not here is either read from the user's own configuration only (trace2.*, uploadpack.*Hook,
# safe.*) or belongs to commands that are not run (tests/index/git/test_environment.py lists both).
NO_HOOKS = "core.hooksPath=/dev/null"
PINS = (
    "core.quotePath=true",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.editor=false",
    "sequence.editor=false",
    "core.askPass=",
    "core.sshCommand=false",
    "core.gitProxy=none",
    "core.alternateRefsCommand=false",
    "credential.helper=",
    "protocol.allow=never",
    "log.showSignature=false",
    "gpg.program=false",
    "gpg.openpgp.program=false",
    "gpg.x509.program=false",
    "gpg.ssh.program=false",
    "gpg.ssh.defaultKeyCommand=false",
    "diff.submodule=short",
    "status.submoduleSummary=false",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
# These read the hooks' folder or the configuration itself, and start nothing.
_ABOUT_CONFIGURATION = frozenset({"config", "rev-parse"})
_SHOW_DIFFERENCES = frozenset({"diff", "diff-tree", "diff-index", "diff-files", "log", "show"})
_NO_DIFF_COMMANDS = ("--no-ext-diff", "--no-textconv")


def git_command(
    args: Iterable[str], places: Iterable[str] = (), settings: Iterable[str] = ()
) -> list[str]:
    """The command line of a git process that runs nothing but git.

    :param args: the command with its arguments; options of git itself may stand before it.
    :param places: ``--git-dir=…`` and the like.
    :param settings: more ``key=value``.
    """
    words = list(args)
    at = next((i for i, word in enumerate(words) if not word.startswith("-")), len(words))
    name = words[at] if at < len(words) else ""
    pins = [*PINS, *settings] if name in _ABOUT_CONFIGURATION else [*PINS, NO_HOOKS, *settings]
    if name in _SHOW_DIFFERENCES:
        words[at + 1 : at + 1] = _NO_DIFF_COMMANDS
    given = [word for pin in pins for word in ("-c", pin)]
    return ["git", "--no-pager", *places, *given, *words]


def git_environment() -> dict[str, str]:
    """The environment for git: no variable that names another repository, no lock, no
    fetch."""
    env = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_US}
    env.update(
        GIT_OPTIONAL_LOCKS="0",
        GIT_NO_LAZY_FETCH="1",
        GIT_TERMINAL_PROMPT="0",
        # Stronger than any `protocol.NAME.allow`: there is no protocol of this name.
        GIT_ALLOW_PROTOCOL="none",
        LC_ALL="C",
        LANGUAGE="C",
    )
    return env
