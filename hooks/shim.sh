# >>> git-copilot >>>
# Notes that HEAD moved and wakes the worker; prints nothing and cannot fail or hold up git.
( set +eu; unset IFS; h=@HOOK@ g=${GIT_DIR:-.git} v=.
  case $h:${3-} in post-checkout:0) exit 0;; esac
  if [ -f "$g" ]; then IFS= read -r g <"$g"; g=${g#gitdir: }; fi # `worktree add` sets no GIT_DIR
  g=${g%/} c=$g
  if [ -f "$g/commondir" ]; then
    IFS= read -r c <"$g/commondir"; v=worktrees/${g##*/}
    case $c in /*) ;; *) c=$g/$c;; esac
  fi
  CDPATH= cd -- "$c/copilot" || exit 0
  IFS= read -r py <python && [ -x "$py" ] || exit 0
  printf '%s\t-\t%s\t%s\n' "$h" "$v" "$*" >>spool/events || exit 0
  for f in worker.pid worker.start; do # by its folder it is told from another with an old pid
    read -r p <$f && kill -0 "$p" && { [ "/proc/$p/cwd" -ef . ] || { [ ! -e /proc/self/cwd ] &&
      ps -o args= -p "$p" | grep -q git_copilot; }; } && exit 0
  done
  unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_PREFIX \
    GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT \
    GIT_NAMESPACE GIT_INTERNAL_SUPER_PREFIX GIT_QUARANTINE_PATH GIT_SHALLOW_FILE GIT_GRAFT_FILE \
    GIT_DIFF_OPTS GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_REFLOG_ACTION \
    GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_AUTHOR_DATE GIT_COMMITTER_DATE \
    PYTHONPATH PYTHONHOME VIRTUAL_ENV
  trap '' HUP INT
  { [ -z "$(find spool/events -size +2048)" ] || printf '%s\t-\t%s\t\n' "$h" "$v" >spool/events
    GIT_OPTIONAL_LOCKS=0 GIT_NO_LAZY_FETCH=1 exec nice -n 10 \
      "$py" -P -m git_copilot.assistant.background "$PWD"
  } 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&- &
  echo "$!" >worker.start
) </dev/null >/dev/null 2>&1 || :
# <<< git-copilot <<<
