# Completes git-copilot, and `git copilot` where git's own completion is loaded.

__git_copilot_reply() {
    local kind value help
    COMPREPLY=()
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default 2>/dev/null ;;
            dir) compopt -o dirnames 2>/dev/null ;;
        esac
    done < <(git-copilot completion --words -- "$@" 2>/dev/null)
}

# Bash cuts words at = and at colons.
__git_copilot_main() {
    local word words=() glue=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        if [[ $word == : || -n $glue ]] && ((${#words[@]})); then
            words[-1]+=$word
            [[ $word == : ]] && glue=1 || glue=
        elif [[ $word != = ]]; then
            words+=("$word")
        fi
    done
    [[ ${COMP_WORDS[COMP_CWORD]} == = ]] && words+=("")
    __git_copilot_reply "${words[@]}"
}

# Called by git's completion, which has put the words into words and cword.
_git_copilot() {
    local at=1
    while [[ $at -lt $cword && ${words[at]} != copilot ]]; do ((at++)); done
    __git_copilot_reply "${words[@]:at+1:cword-at}"
}

complete -F __git_copilot_main git-copilot
