# Completes git-copilot, and `git copilot`.

function __git_copilot_complete
    set -l current (commandline -ct)
    set -l words (commandline -opc)
    # Words before our own command: git, and its options.
    while set -q words[1]; and not string match -qr '(^|/)(git-)?copilot$' -- $words[1]
        set -e words[1]
    end
    set -e words[1]
    for line in (git-copilot completion --words -- $words "$current" 2>/dev/null)
        set -l parts (string split \t -- $line)
        switch $parts[1]
            case plain
                printf '%s\t%s\n' $parts[2] "$parts[3]"
            case file
                __fish_complete_path "$current"
            case dir
                __fish_complete_directories "$current" ''
        end
    end
end

complete -c git-copilot -f -a '(__git_copilot_complete)'
complete -c git -f -n '__fish_seen_subcommand_from copilot' -a '(__git_copilot_complete)'
complete -c git -f -n '__fish_use_subcommand' -a copilot -d 'code completion that learns from this repository'
