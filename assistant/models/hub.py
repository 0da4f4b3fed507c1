"""Fetches folders of weights from the Hugging Face hub."""

from __future__ import annotations

import contextlib
import fnmatch
import shutil
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from git_copilot.assistant.models.catalogue import ModelSpec, model_folder
from git_copilot.assistant.models.wheel_download import MB, Index, downloads, transfer
from git_copilot.index.core.errors import ModelError
from git_copilot.index.core.types import Progress

WATCH_SECONDS = 1.0
PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def from_hub(spec: ModelSpec, made: Path, progress: Progress) -> None:
    """Fetch a folder; what came of it is kept, and files that are whole are not fetched again."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # ours says how far it is
    folder = downloads() / model_folder(spec.name).name
    try:
        _fetch_weights(spec, folder, progress)
        with _watching(folder, spec, progress):
            snapshot_download(spec.hub, local_dir=folder, allow_patterns=PATTERNS)
    except ModelError:
        raise
    except Exception as exc:  # the library raises its own, httpx's and OSError alike
        raise ModelError(
            f"{spec.hub} could not be downloaded ({str(exc).splitlines()[0][:120]})",
            "check the network and the name, or `git copilot model use FOLDER`",
        ) from exc
    if not any(folder.glob("*.safetensors")):
        shutil.rmtree(folder)
        raise ModelError(f"{spec.hub} has no safetensors weights", "choose another model")
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    folder.rename(made)


def _fetch_weights(spec: ModelSpec, folder: Path, progress: Progress) -> None:
    """Fetch the large files by ranges, which the library throws away when it is interrupted. It
    checks what lies there by its hash, and fetches what is not there.

    :raises ModelError: one stopped in the middle, again and again.
    """
    from huggingface_hub import HfApi, get_token, hf_hub_url

    try:
        info = HfApi().model_info(spec.hub, files_metadata=True)
    except Exception:  # noqa: BLE001 - the library says better what is wrong
        return
    source = Index((), urllib.request.build_opener(), get_token() or "")
    for file in info.siblings or ():
        target = folder / file.rfilename
        wanted = any(fnmatch.fnmatch(file.rfilename, pattern) for pattern in PATTERNS)
        if not file.lfs or not wanted or ".." in target.parts or target.exists():
            continue
        part = downloads() / f"{folder.name}-{file.lfs.sha256[:12]}.part"
        url = hf_hub_url(spec.hub, file.rfilename, revision=info.sha)
        if transfer(url, part, source, f"downloading {file.rfilename} of {spec.hub}, MB", progress):
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)


@contextlib.contextmanager
def _watching(folder: Path, spec: ModelSpec, progress: Progress) -> Iterator[None]:
    """Meanwhile say how much lies in ``folder``."""
    done = threading.Event()

    def look() -> None:
        label = f"downloading {spec.hub}, MB"
        while True:
            with contextlib.suppress(OSError):  # files come and go
                size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
                progress(label, size // MB, max(spec.megabytes, size // MB))
            if done.wait(WATCH_SECONDS):
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
