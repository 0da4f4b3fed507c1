"""Shell completion of commands, options and names, on their own and behind `git`."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import click
import pytest

from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import COMMANDS
from git_copilot.assistant.core.config import Settings
from tests.support.commands import assert_one_line

GIT_COMPLETION = Path("/usr/share/bash-completion/completions/git")


def shell(name):
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"no {name} here")


def run(project, *command):
    done = subprocess.run(command, cwd=project.path, capture_output=True, text=True, timeout=60)
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines()


def in_bash(project, *words, through=""):
    """What a real bash would offer for the last of ``words`` (cut as bash cuts them)."""
    array = " ".join(f"'{word}'" for word in words)
    function = "__git_wrap__git_main" if through else "__git_copilot_main"
    script = f"""
        {through}
        eval "$(git-copilot completion bash)"
        COMP_WORDS=({array}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        COMP_LINE="${{COMP_WORDS[*]}}"; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9; COMP_KEY=9
        compopt() {{ echo "compopt $*"; }}
        {function} {words[0]} '{words[-1]}' '{words[-2]}'
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return run(project, "bash", "--norc", "--noprofile", "-c", script)


@shell("bash")
def test_bash_completes_commands_options_and_names(copilot, project):
    assert set(in_bash(project, "git-copilot", "")) == set(COMMANDS)
    assert in_bash(project, "git-copilot", "com") == ["complete", "completion"]
    assert in_bash(project, "git-copilot", "hooks", "") == ["install", "status", "uninstall"]
    assert in_bash(project, "git-copilot", "complete", "--ad") == ["--adapter"]
    assert in_bash(project, "git-copilot", "complete", "--adapter", "") == ["none"]
    assert in_bash(project, "git-copilot", "complete", "--model", "=", "ti")[0] == "tiny"
    assert in_bash(project, "git-copilot", "model", "use", "all-m") == ["compopt -o dirnames", ""]
    assert in_bash(project, "git-copilot", "model", "pull", "all-m") == ["all-minilm-l6-v2"]
    assert in_bash(project, "git-copilot", "completion", "f") == ["fish"]
    assert in_bash(project, "git-copilot", "complete", "src/") == ["compopt -o default", ""]
    assert in_bash(project, "git-copilot", "complete", "a", ":", "3", "--js") == ["--json"]
    assert in_bash(project, "git-copilot", "nonsense", "x", "") == [""]


@shell("bash")
def test_adapters_of_the_repository_are_offered(copilot, project):
    for name in ("20260101-abc", "evil\n\x1b[31m"):
        (project.git_dir / "copilot" / "adapters" / name).mkdir(parents=True)
        (project.git_dir / "copilot" / "adapters" / name / "evidence.json").write_text("{}")
    offered = in_bash(project, "git-copilot", "adapter", "use", "")
    assert "none" in offered and not any("\x1b" in x for x in offered)
    listed = {row["id"] for row in copilot.json("adapter", "list")}
    assert {x for x in offered if x != "none"} == {x for x in listed if x.isprintable()}


@shell("bash")
@pytest.mark.skipif(not GIT_COMPLETION.exists(), reason="git's own completion is not here")
def test_bash_completes_behind_git(copilot, project):
    through = f". {GIT_COMPLETION}"

    def offered(*words):
        return {x.strip() for x in in_bash(project, *words, through=through)}

    assert set(COMMANDS) <= offered("git", "copilot", "")
    assert "--adapter" in offered("git", "copilot", "complete", "--ad")
    assert "copilot" in offered("git", "copi")


@shell("zsh")
def test_zsh_completes(copilot, project):
    """The words as zsh's own completion puts them; a real compdef takes the script."""
    script = """
        autoload -Uz compinit; compinit -u -d "$PWD/.zcompdump"
        eval "$(git-copilot completion zsh)"
        [[ $_comps[git-copilot] == _git-copilot ]] || echo "not registered"
        _describe() { print -l -- "${(@P)2}" }
        _files() { echo "files $*" }
        offer() { words=("$@"); CURRENT=$#words; _git-copilot }
        offer copilot hooks st; offer git-copilot complete --ad; offer copilot complete s
    """
    lines = run(project, "zsh", "-f", "-c", script)
    assert [line.split(":")[0] for line in lines] == ["status", "--adapter", "files "]


@shell("fish")
def test_fish_completes(copilot, project, tmp_path):
    script = tmp_path / "copilot.fish"
    script.write_text(copilot.ok("completion", "fish"))

    def offered(line):
        command = f'source {script}; complete -C "{line}"'
        return [x.split("\t")[0] for x in run(project, "fish", "--no-config", "-c", command)]

    assert set(offered("git-copilot ")) >= set(COMMANDS)
    assert offered("git-copilot hooks st") == ["status"]
    assert offered("git copilot complete --ad") == ["--adapter"]
    assert "tiny" in offered("git copilot model use t")
    assert "src/" in offered("git-copilot complete sr")


def test_every_setting_is_offered_as_a_completion():
    parameter, context = click.Argument(["key"]), click.Context(click.Command("config"))
    offered = {item.value for item in shell_completion.settings(context, parameter, "copilot.")}
    assert len(offered) == len(fields(Settings)) and "copilot.maxTokens" in offered
    assert [x.value for x in shell_completion.settings(context, parameter, "maxT")] == ["maxTokens"]


def test_another_shell_is_wrong_usage(bare_commands):
    assert_one_line(bare_commands.run("completion", "csh"), 2, "bash, zsh, fish")
    assert_one_line(bare_commands.run("completion"), 2, "bash, zsh, fish")


def test_hooks_can_be_called_by_their_full_name(project):
    from tests.support.commands import Copilot

    commands = Copilot(project.path)
    assert "post-commit" in commands.ok("hooks", "install")
    facts = commands.json("hooks", "status")
    assert "post-commit" in facts["installed"] and facts["via"] == "native"
    assert {"hooks", "git"} & {each["check"] for each in facts["findings"]}
    assert "post-commit" in commands.ok("hooks", "uninstall")
    assert commands.run("hooks", "status", "--json").stdout.startswith(b'{"installed": []')
    assert "post-commit" in commands.ok("install") and "post-commit" in commands.ok("uninstall")
