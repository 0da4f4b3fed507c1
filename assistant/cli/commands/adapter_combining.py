"""``adapter merge``, ``scale`` and ``judge``: new adapters from old ones, judged before use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.merging import (
    DEFAULT_DENSITY,
    METHODS,
    SPARSE,
    SVD,
    Combination,
    Part,
    equal_weights,
)
from git_copilot.assistant.cli import shell_completion
from git_copilot.assistant.cli.main import Host
from git_copilot.assistant.cli.training_context import print_arms, training_context
from git_copilot.assistant.context.repository import known_repository
from git_copilot.assistant.core.config import load_settings
from git_copilot.assistant.models.catalogue import resolve_model
from git_copilot.index.core.errors import NOT_PROMOTED, CopilotError

if TYPE_CHECKING:
    from git_copilot.assistant.refresh.rejudging import JudgedAdapter

HOLES = 100


class _Weights(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between them."""

    name = "weights"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        try:
            found = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers, such as 0.7,0.3", param, ctx)
        if not all(0 < weight <= 10 for weight in found):
            self.fail("each weight is above 0 and at most 10", param, ctx)
        return found


@click.command("merge")
@click.argument("adapters", nargs=-1, required=True, metavar="ID|PATH...",
                shell_complete=shell_completion.adapters)  # fmt: skip
@click.option("--method", type=click.Choice(METHODS), default=SVD, show_default=True,
              help="How weights are combined.")  # fmt: skip
@click.option("--weights", type=_Weights(), metavar="W,W,...",
              help="The weight of each adapter (default: equal, 1 in all).")  # fmt: skip
@click.option("--density", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE",
              help=f"Share of weights that ties and dare keep (default: {DEFAULT_DENSITY}).")  # fmt: skip
@click.option("--seed", type=int, default=0, help="Of the choice that dare makes (default: 0).")
@click.option("--holes", type=click.IntRange(1), default=HOLES, show_default=True,
              help="Maximum number of holes to judge by.")  # fmt: skip
@click.option("--no-judge", is_flag=True, help="Only make it; `adapter judge` can follow.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_merge(
    host: Host,
    /,
    adapters: tuple[str, ...],
    method: str,
    weights: tuple[float, ...] | None,
    density: float | None,
    seed: int,
    holes: int,
    no_judge: bool,
    as_json: bool,
) -> int:
    """Merge adapters of one base model into a new one, and use it if it wins.

    Each is named by its id, or by the path of its folder or of the repository that uses it.
    Exit code 4 when it was judged and not promoted.
    """
    from git_copilot.assistant.refresh.derived import store_merged

    if len(adapters) < 2:
        raise click.UsageError("name at least two adapters")
    if weights is not None and len(weights) != len(adapters):
        raise click.UsageError(f"{len(weights)} weights do not fit {len(adapters)} adapters")
    if density is not None and method not in SPARSE:
        raise click.UsageError(f"--density is for {', '.join(sorted(SPARSE))}")
    repo = known_repository()
    model = load_settings(repo, warn=host.terminal.note).model
    parts = _parts(repo.state_dir, adapters, weights or equal_weights(len(adapters)), model)
    how = Combination(method, DEFAULT_DENSITY if density is None else density, seed)
    made = store_merged(repo, resolve_model(model), model, parts, how)
    return _finish(host, made, None if no_judge else holes, as_json)


@click.command("scale")
@click.argument("adapter", metavar="ID", shell_complete=shell_completion.adapters)
@click.argument("scale", metavar="SCALE", type=click.FloatRange(0, 2, min_open=True))
@click.option("--holes", type=click.IntRange(1), default=HOLES, show_default=True,
              help="Maximum number of holes to judge by.")  # fmt: skip
@click.option("--no-judge", is_flag=True, help="Only make it; `adapter judge` can follow.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def adapter_scale(
    host: Host, /, adapter: str, scale: float, holes: int, no_judge: bool, as_json: bool
) -> int:
    """Copy an adapter to act more or less strongly, and use the copy if it wins.

    1 is what was trained, 0.5 is halfway from the base model to it. Exit code 4 when it was judged
    and not promoted.
    """
    from git_copilot.assistant.refresh.derived import store_scaled

    made = store_scaled(known_repository(), adapter, scale)
    return _finish(host, made, None if no_judge else holes, as_json)


@click.command("judge")
@click.argument("adapter", metavar="ID", shell_complete=shell_completion.adapters)
@click.option("--holes", type=click.IntRange(1), default=HOLES, show_default=True,
              help="Maximum number of holes to judge by.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--report", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write an HTML page.")  # fmt: skip
@click.pass_obj
def adapter_judge(host: Host, /, adapter: str, holes: int, as_json: bool, page: Path | None) -> int:
    """Judge an adapter by newer commits than it knows, and use it if it wins.

    Exit code 4 when it is not promoted.
    """
    return _judge(host, adapter, holes, as_json, page)


def _parts(state: Path, given: Sequence[str], weights: Sequence[float], model: str) -> list[Part]:
    """:raises CopilotError: one is no adapter, is named twice, or is for another model."""
    from git_copilot.assistant.evaluation.controls import find_control

    known, found = set(adapter_store.ids(state)), list[Part]()
    for name, weight in zip(given, weights, strict=True):
        if name in known or not Path(name).exists():
            folder = adapter_store.path_for_model(state, name, model)
            found.append(Part(name, folder, weight))
        else:
            control = find_control(Path(name), model)
            found.append(Part(control.name, control.folder, weight))
    if len({part.folder for part in found}) < len(found):
        raise CopilotError("an adapter is named twice", "give it another weight instead")
    return found


def _finish(host: Host, made: str, holes: int | None, as_json: bool) -> int:
    """Judge a new adapter by so many holes; ``None``: only tell that it is there."""
    if holes is not None:
        host.terminal.note(f"made {made}; judging it")
        return _judge(host, made, holes, as_json, None)
    if as_json:
        state = known_repository().state_dir
        host.terminal.echo(json.dumps(adapter_store.read_report(state, made)))
    else:
        host.terminal.echo(f"{made} is there; `git copilot adapter judge {made}` tells its worth")
    return 0


def _judge(host: Host, adapter: str, holes: int, as_json: bool, page: Path | None) -> int:
    from git_copilot.assistant.cli.report_page import require_folder, write_page
    from git_copilot.assistant.refresh.rejudging import judge_adapter

    require_folder(page)
    with training_context(host) as (context, folder):
        judged = judge_adapter(context, adapter, folder=folder, holes=holes)
        name = context.repo.name
    if page is not None:
        write_page(page, judged.evaluation, name, None)
        host.terminal.note(f"wrote {page}")
    if as_json:
        host.terminal.echo(json.dumps(judged.to_json()))
    else:
        _print(host, adapter, judged)
    return 0 if judged.promoted else NOT_PROMOTED


def _print(host: Host, adapter: str, judged: JudgedAdapter) -> None:
    print_arms(host, judged.evaluation.arms)
    decision = "promoted" if judged.promoted else "not promoted"
    host.terminal.echo(f"{adapter} {decision}: {judged.decision.reason}")
    host.terminal.echo(
        f"judged by {judged.evaluation.held_out.count} holes, {judged.evaluation.seconds:.0f} s"
    )
