"""Fetches folders of weights from the Hugging Face hub."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from git_copilot.assistant.fetch import MB, downloads
from git_copilot.assistant.models import ModelSpec, model_folder
from git_copilot.index.errors import ModelError
from git_copilot.index.types import Progress

WATCH_SECONDS = 1.0
PATTERNS = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]


def from_hub(spec: ModelSpec, made: Path, progress: Progress) -> None:
    """Fetch a folder; what came of it is kept, and files that are whole are not fetched again."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # ours says how far it is
    folder = downloads() / model_folder(spec.name).name
    try:
        with _watching(folder, spec, progress):
            snapshot_download(spec.hub, local_dir=folder, allow_patterns=PATTERNS)
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
