#compdef git-copilot
# Completes git-copilot, and `git copilot` through zsh's completion of git.

_git-copilot() {
    local kind value help files folders
    local -a found
    while IFS=$'\t' read -r kind value help; do
        case $kind in
            plain) found+=("${value//:/\\:}${help:+:$help}") ;;
            file) files=1 ;;
            dir) folders=1 ;;
        esac
    done < <(git-copilot completion --words -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    [[ ${words[CURRENT]} == --*=* ]] && compset -P '*='
    (( $#found )) && _describe 'git copilot' found
    [[ -n $files ]] && _files
    [[ -n $folders ]] && _files -/
    return 0
}

if (( $+functions[compdef] )); then
    compdef _git-copilot git-copilot
    zstyle ':completion:*:*:git:*' user-commands copilot:'code completion that learns from this repository'
fi
