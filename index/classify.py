"""Decides which files are worth knowing, and in which language they are. Pure."""

from __future__ import annotations

import posixpath

# Larger files are data or generated; 512 KiB is about 13,000 lines of code.
MAX_FILE_BYTES = 512 * 1024
# Minified and generated text has long lines; the bounds are those of the Personal Copilot
# data set (mean 100, maximum 1000), the mean doubled because prose is indexed as well.
MAX_MEAN_LINE = 200
MAX_LINE = 2000
SNIFF_BYTES = 8000
LFS_HEADER = b"version https://git-lfs.github.com/spec/"
TEXT = "text"

# Extension to tree-sitter-language-pack name. Languages without an entry are read as text.
LANGUAGES = {
    "bash": "bash", "sh": "bash", "zsh": "bash",
    "c": "c", "h": "c", "cc": "cpp", "cpp": "cpp", "cxx": "cpp", "hpp": "cpp", "hh": "cpp",
    "cs": "csharp", "css": "css", "dart": "dart", "ex": "elixir", "exs": "elixir",
    "elm": "elm", "erl": "erlang", "go": "go", "hs": "haskell", "html": "html",
    "java": "java", "js": "javascript", "jsx": "javascript", "mjs": "javascript",
    "cjs": "javascript", "jl": "julia", "kt": "kotlin", "kts": "kotlin", "lua": "lua",
    "ml": "ocaml", "mli": "ocaml_interface", "php": "php", "pl": "perl", "pm": "perl",
    "py": "python", "pyi": "python", "r": "r", "rb": "ruby", "rs": "rust",
    "scala": "scala", "sql": "sql", "swift": "swift", "ts": "typescript", "mts": "typescript",
    "tsx": "tsx", "vue": "vue", "zig": "zig",
}  # fmt: skip
FILE_NAMES = {"makefile": "make", "dockerfile": "dockerfile", "rakefile": "ruby"}

# Written by tools: nothing to learn from, and they crowd out what people wrote.
GENERATED_NAMES = {
    "package-lock.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "uv.lock", "cargo.lock",
    "composer.lock", "gemfile.lock", "pipfile.lock", "go.sum", "flake.lock",
}  # fmt: skip
SKIPPED_EXTENSIONS = {
    "svg", "min.js", "min.css", "map", "lock", "po", "pot", "csv", "tsv", "ipynb", "snap",
    "pem", "key", "crt", "p12", "pfx",
}  # fmt: skip
VENDORED_FOLDERS = {"node_modules", "vendor", "third_party", "site-packages", "__pycache__"}

COMMENT_PREFIX = {
    "python": "#", "bash": "#", "ruby": "#", "perl": "#", "r": "#", "make": "#", "julia": "#",
    "elixir": "#", "dockerfile": "#", "text": "#", "lua": "--", "sql": "--", "haskell": "--",
    "elm": "--", "erlang": "%",
}  # fmt: skip


def comment_prefix(language: str) -> str:
    """What begins a line comment in ``language``; ``//`` for the C-like majority."""
    return COMMENT_PREFIX.get(language, "//")


def language_of(path: str) -> str:
    """The tree-sitter name of the file's language, or ``"text"``."""
    base = posixpath.basename(path).lower()
    if base in FILE_NAMES:
        return FILE_NAMES[base]
    return LANGUAGES.get(base.rpartition(".")[2], TEXT) if "." in base else TEXT


def skip_path(path: str) -> str | None:
    """Why a path is left out without reading it, or ``None``."""
    parts = path.lower().split("/")
    base = parts[-1]
    if VENDORED_FOLDERS.intersection(parts[:-1]):
        return "vendored"
    if base in GENERATED_NAMES or any(base.endswith(f".{ext}") for ext in SKIPPED_EXTENSIONS):
        return "generated"
    return None


def skip_content(data: bytes) -> str | None:
    """Why a blob is left out after a look at it, or ``None``."""
    if len(data) > MAX_FILE_BYTES:
        return "large"
    if b"\0" in data[:SNIFF_BYTES]:
        return "binary"
    if data.startswith(LFS_HEADER):
        return "lfs"
    lines = data.splitlines()
    if not lines:
        return "empty"
    if len(data) / len(lines) > MAX_MEAN_LINE or max(map(len, lines)) > MAX_LINE:
        return "long lines"
    return None
