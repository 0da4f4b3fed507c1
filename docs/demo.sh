#!/bin/sh
# The main job on a real repository, step by step. Run it with `make demo`.
set -eu
say() { printf '\n\033[1m== %s\033[0m\n' "$1"; }
show() { printf '$ %s\n' "$*"; "$@"; }

source=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
# A server of its own, so that nobody's running one is stopped at the end.
XDG_RUNTIME_DIR=$work/run; export XDG_RUNTIME_DIR; mkdir -m 700 "$XDG_RUNTIME_DIR"
finish() { git-copilot serve --stop 2>/dev/null || :; rm -rf "$work"; }
trap finish EXIT
trap 'exit 130' INT TERM

say "a real repository: a clone of $(basename "$source"), $(git rev-list --count HEAD) commits"
git clone --quiet "$source" "$work/project"
cd "$work/project"
git config user.name "Demo" && git config user.email demo@example.org

say "init: models, index, corpus, hooks"
show git copilot init

say "a plain commit adds a function; the hook tells the index"
cat > assistant/elapsed.py <<'PYTHON'
"""Times in the words of a person."""


def humanize_elapsed(seconds: float) -> str:
    """Return "350 ms", "12 s" or "3 min"."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
PYTHON
git add assistant/elapsed.py
show git commit --quiet -m "Say how long things took"
show git copilot status --wait
show git copilot search -n 1 humanize_elapsed

say "another file wants it: complete at the cursor, after \`humanize\`"
cat > assistant/report.py <<'PYTHON'
"""Tells the user what a job took."""

import time


def report_job(name: str, started: float) -> str:
    """One line about a job that just ended."""
    seconds = time.monotonic() - started
    took = humanize
PYTHON
tail -n 2 assistant/report.py
show git copilot complete --explain assistant/report.py:9
say "the same without the other file's snippet, for comparison"
show git copilot complete --no-retrieval assistant/report.py:9
say "and as JSON; the server is warm now"
show git copilot complete --json assistant/report.py:9

say "refresh: a LoRA adapter from the commits, promoted only if it wins"
# Its exit code is lost in the pipe, so it is written down.
echo 0 >"$work/code"
{ { git copilot refresh --minutes 3 || echo $? >"$work/code"; } 2>&1 >&3 | tee "$work/notes" >&2; } 3>&1
case $(cat "$work/code") in
    0 | 4) ;;
    1) # on a slow or busy machine 3 minutes allow no decision
        grep -q "too short to learn\|judged by only" "$work/notes" || exit 1
        say "this machine needs longer for that: see the line above" ;;
    *) exit "$(cat "$work/code")" ;;
esac
say "done"
