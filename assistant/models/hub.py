"""Downloads folders of weights from the Hugging Face hub."""

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
    """Download a folder; partial files are kept, and complete ones are not downloaded again."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # there is one already
    folder = downloads() / model_folder(spec.name).name
    try:
        _fetch_weights(spec, folder, progress)
        with _watching(folder, spec, progress):
            snapshot_download(spec.hub, local_dir=folder, allow_patterns=PATTERNS)
    except ModelError:
        raise
    except Exception as exc:  # the library raises its own, its HTTP client's and OSError
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
    """Download the large files by ranges, since the library discards partial ones when it is
    interrupted. It checks the files that are here by their hash and downloads the others.

    :raises ModelError: a download broke off repeatedly.
    """
    from huggingface_hub import HfApi, get_token, hf_hub_url

    try:
        info = HfApi().model_info(spec.hub, files_metadata=True)
    except Exception:  # noqa: BLE001 - the library's own download has the better message
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
    """Report the size of ``folder`` meanwhile."""
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
