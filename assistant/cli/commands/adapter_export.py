"""``adapter export``: adapters and merged models for other engines."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.context.repository import known_repository
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.index.core.errors import CopilotError

# What needs an adapter, and what a base model alone can become.
ADAPTER_ONLY = ("peft", "vllm", "sglang", "gguf-lora")
FORMATS = ("transformers", *ADAPTER_ONLY, "gguf", "ollama")
TYPES = ("f16", "bf16", "f32", "q8_0")


@click.command("export")
@click.argument("adapter", metavar="[ID|none]", required=False,
                shell_complete=shell_completion.adapters_or_none)  # fmt: skip
@click.option("--to", "form", type=click.Choice(FORMATS), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="PATH",
              help="The file (gguf, gguf-lora) or the folder to write.")  # fmt: skip
@click.option("--type", "kind", type=click.Choice(TYPES), default="f16", show_default=True,
              help="Type of the weights (gguf, ollama).")  # fmt: skip
@click.option("--base", metavar="NAME|PATH", help="Base model, as the engine finds it (peft, vllm,"
              " sglang).")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_export(
    host: Host,
    /,
    adapter: str | None,
    form: str,
    out: Path,
    kind: str,
    base: str | None,
    force: bool,
    as_json: bool,
) -> int:
    """Write an adapter, or the model with it merged in, for other engines.

    The adapter in use by default; `none` writes the base model alone.
    """
    from git_copilot.assistant.export.targets import written_beside

    repo = known_repository()
    model = load_settings(repo, warn=host.terminal.note).model
    chosen, folder = _adapter(repo.state_dir, adapter, model)
    if folder is None and form in ADAPTER_ONLY:
        raise CopilotError(
            f"--to {form} writes an adapter, and none is chosen",
            "name one: `git copilot adapter list` shows them",
        )
    target = host.terminal.cwd / out
    facts: dict[str, Any] = {"adapter": chosen, "base_model": model, "format": form}
    name = f"copilot-{chosen or 'base'}"
    with written_beside(target, force=force) as path:
        hint = _write(form, resolve_model(model), folder, path, kind, base, name, target)
    facts |= {"path": str(target), **({"command": hint} if hint else {})}
    if as_json:
        host.terminal.echo(json.dumps(facts))
    else:
        host.terminal.echo(f"wrote {target}")
        if hint:
            host.terminal.echo(hint)
    return 0


def _adapter(state: Path, given: str | None, model: str) -> tuple[str | None, Path | None]:
    """The id and the folder of the adapter to export; ``None`` for the base model alone.

    :raises CopilotError: there is no such adapter, it is damaged, or it is for another model.
    """
    chosen = adapter_store.current_adapter(state) if given is None else given
    if chosen in (None, adapter_store.NONE):
        return None, None
    folder = adapter_store.path_for_model(state, str(chosen), model)
    return chosen, folder


def _write(
    form: str,
    model: Path,
    adapter: Path | None,
    path: Path,
    kind: str,
    base: str | None,
    name: str,
    target: Path,
) -> str | None:
    """Write one format to ``path``, which becomes ``target``; the command that serves it."""
    from git_copilot.assistant.export import engines

    if form == "transformers":
        from git_copilot.assistant.export.merged import export_merged

        export_merged(model, adapter, path)
        return None
    if form in ("gguf", "ollama"):
        return _write_gguf(form, model, adapter, path, kind, name, target)
    assert adapter is not None
    if form == "gguf-lora":
        from git_copilot.assistant.export.gguf_model import export_gguf_adapter

        export_gguf_adapter(model, adapter, path, name)
        return f"llama-server -m BASE.gguf --lora {shlex.quote(str(target))}"
    source = base or str(model)
    # By its id alone: that is what `copilot.endpointAdapters name` asks the server for.
    name = adapter.name
    served = engines.Served(name, target, source, engines.export_peft(adapter, path, source))
    if form == "vllm":
        return engines.vllm_command(served)
    return engines.sglang_command(served) if form == "sglang" else None


def _write_gguf(
    form: str, model: Path, adapter: Path | None, path: Path, kind: str, name: str, target: Path
) -> str:
    from git_copilot.assistant.export.engines import modelfile
    from git_copilot.assistant.export.gguf_model import export_gguf
    from git_copilot.assistant.prompt.tokenizer import TextTokenizer

    if form == "gguf":
        export_gguf(model, adapter, path, kind, name)
        return f"llama-server -m {shlex.quote(str(target))}"
    path.mkdir()
    export_gguf(model, adapter, path / "model.gguf", kind, name)
    text = modelfile("model.gguf", TextTokenizer.load(model).fim)
    (path / "Modelfile").write_text(text, "utf-8")
    return f"ollama create {name} -f {shlex.quote(str(target / 'Modelfile'))}"
