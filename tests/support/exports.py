"""Writes exports, and loads them with Hugging Face datasets."""

from __future__ import annotations

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.export import ExportRequest, export_corpus


def export(found, db, out, **more):
    context = RepositoryContext(found, db, more.pop("settings", Settings()))
    return export_corpus(context, out, ExportRequest(**more))


def load(path, cache):
    """Load an export with Hugging Face datasets."""
    import datasets

    kind = "parquet" if path.suffix == ".parquet" else "json"
    return datasets.load_dataset(kind, data_files=str(path), split="train", cache_dir=str(cache))
