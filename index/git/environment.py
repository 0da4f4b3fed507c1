"""Command line and environment of every git process that is started here: inherited variables are
removed, and settings are pinned that a repository's configuration cannot undo. Standard library
only: hooks import this."""

from __future__ import annotations

import os
from collections.abc import Iterable

# git exports these to hooks. If they are inherited, later commands read another repository or
# another index (a worker that outlives next-index-*.lock sees every file as deleted).
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
    # Overrides -U0: hunks would contain more than the added lines.
    "GIT_DIFF_OPTS",
)
# GIT_EXTERNAL_DIFF is a user's command that replaces git's own diff.
_NOT_FOR_US = (*REPOSITORY_VARIABLES, "GIT_EXTERNAL_DIFF")

# A repository's configuration may be written by somebody else (an archive, a folder that looks like
# a repository). Keys whose value git executes, or that make it start another process, are pinned on
# the command line, which overrides everything. Filters have arbitrary names: see repository.py. The
# remaining keys are either read from the user's own configuration only (trace2.*,
# uploadpack.*Hook, safe.*) or belong to commands that are never run here
# (tests/index/git/test_environment.py lists both).
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
# These commands read the hooks folder or the configuration itself, and start no process.
_ABOUT_CONFIGURATION = frozenset({"config", "rev-parse"})
_SHOW_DIFFERENCES = frozenset({"diff", "diff-tree", "diff-index", "diff-files", "log", "show"})
_NO_DIFF_COMMANDS = ("--no-ext-diff", "--no-textconv")


def git_command(
    args: Iterable[str], places: Iterable[str] = (), settings: Iterable[str] = ()
) -> list[str]:
    """The command line of a git process that runs no program but git.

    :param args: the command with its arguments; options of git itself may precede it.
    :param places: ``--git-dir=…`` and the like.
    :param settings: additional ``key=value`` settings.
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
    """The environment for git: no variable that selects another repository, no optional locks, no
    lazy fetch."""
    env = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_US}
    env.update(
        GIT_OPTIONAL_LOCKS="0",
        GIT_NO_LAZY_FETCH="1",
        GIT_TERMINAL_PROMPT="0",
        # Overrides every `protocol.NAME.allow`: no protocol has this name.
        GIT_ALLOW_PROTOCOL="none",
        LC_ALL="C",
        LANGUAGE="C",
    )
    return env
