"""What an engine needs beside the weights: a folder of PEFT, its command, and Ollama's Modelfile."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.prompt.fim import FimFormat

# The ranks that vLLM has kernels for.
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


@dataclass(frozen=True, slots=True)
class Served:
    """An adapter for an engine: its name there, its folder, and its base model's name or folder."""

    name: str
    folder: Path
    base: str
    rank: int


def export_peft(adapter: Path, target: Path, base: str) -> int:
    """Write a plain folder of PEFT; return its rank.

    :param base: the name or the folder of the base model, which the configuration then names.
    :raises OSError: it cannot be written.
    """
    facts = json.loads((adapter / adapter_store.CONFIG).read_text("utf-8"))
    facts["base_model_name_or_path"] = base
    target.mkdir()
    (target / adapter_store.CONFIG).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    shutil.copyfile(adapter / adapter_store.WEIGHTS, target / adapter_store.WEIGHTS)
    return int(facts["r"])


def largest_rank(rank: int) -> int:
    """The smallest of :data:`RANKS` that an adapter of ``rank`` fits into."""
    return next((each for each in RANKS if each >= rank), rank)


def vllm_command(served: Served) -> str:
    """The command that serves a model with an adapter by vLLM. Pure."""
    base, modules = shlex.quote(served.base), shlex.quote(f"{served.name}={served.folder}")
    rank = largest_rank(served.rank)
    return f"vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules {modules}"


def sglang_command(served: Served) -> str:
    """The command that serves a model with an adapter by SGLang. Pure."""
    base, paths = shlex.quote(served.base), shlex.quote(f"{served.name}={served.folder}")
    return (
        f"python -m sglang.launch_server --model-path {base} --enable-lora"
        f" --max-lora-rank {largest_rank(served.rank)} --lora-target-modules all"
        f" --lora-paths {paths}"
    )


def modelfile(weights: str, fim: FimFormat | None) -> str:
    """Ollama's Modelfile for a merged model. Pure.

    :param weights: the name of the GGUF file beside it.
    :param fim: the format of the model; ``None``: it only continues text.
    """
    lines = [f"FROM ./{weights}"]
    if fim is None:
        lines.append('TEMPLATE """{{ .Prompt }}"""')
    else:
        before, behind = f"{fim.prefix}{{{{ .Prompt }}}}", f"{fim.suffix}{{{{ .Suffix }}}}"
        parts = before + behind if fim.order == "psm" else behind + before
        whole = f"{fim.begin}{parts}{fim.middle}"
        lines.append(
            f'TEMPLATE """{{{{ if .Suffix }}}}{whole}{{{{ else }}}}{{{{ .Prompt }}}}{{{{ end }}}}"""'
        )
        stops = dict.fromkeys([*fim.ends, *fim.controls])
        lines += [f'PARAMETER stop "{stop}"' for stop in stops]
    lines += ["PARAMETER temperature 0", ""]
    return "\n".join(lines)
