"""Any cursor gets an answer: ``python bench/fuzz.py [--quick] [--json] [--repo PATH]…``.

Asks for completions at random places of real files and of odd ones (CRLF, tabs, emoji, combining
characters, a byte order mark, no newline at the end, very long lines, Latin-1, nothing at all),
through the whole use case but retrieval, with a random model of two layers over bytes: it writes
anything, which a trained one does not. Places are of every class: in a word, in white space, in a
string, in a comment, on a blank line, at the first and the last character, at the ends of lines.

At half of the places the rest of the line is what an editor has put there: the closers of the pairs
that are open, if there are any.

What must hold at each place: no exception, no more tokens than asked for, an answer within the
limit, line ends as the file has them, text that the file's encoding can hold or an error that says
so, at closers no unmatched bracket or quote, and at every tenth place the same answer again.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from about import machine, output

from git_copilot.assistant.api.requests import CompleteRequest
from git_copilot.assistant.completion.callbacks import Callbacks
from git_copilot.assistant.completion.complete import complete
from git_copilot.assistant.completion.request import Place, find_place
from git_copilot.assistant.completion.session import Session
from git_copilot.assistant.core.process import calm_threads
from git_copilot.assistant.core.progress import ProgressBar
from git_copilot.assistant.core.terminal import Stream
from git_copilot.assistant.postprocess.pairs import OpenPairs
from git_copilot.assistant.prompt.location import cut_document, parse_location
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.text.encodings import encoding_of, readable_text

ROOT = Path(__file__).resolve().parent.parent
PLACES, QUICK = 10_000, 600
MAX_TOKENS = 8
LIMIT_SECONDS = 2.0
AGAIN = 10
SUFFIXES = (".py", ".js", ".go", ".c", ".rs", ".sh", ".toml", ".md", ".html", ".json")
MAX_BYTES = 200_000
_CLASSES: tuple[tuple[str, str], ...] = (
    ("word", r"(?<=\w)(?=\w)"),
    ("word end", r"(?<=\w)(?!\w)"),
    ("indentation", r"(?m)(?<=^[ \t])(?=[ \t])"),
    ("white space", r"(?<=\S) (?=\S)"),
    ("blank line", r"(?m)^[ \t]*$"),
    ("line start", r"(?m)^(?=.)"),
    ("line end", r"(?m)(?<=.)$"),
    ("string", r"(?<=[\"'])(?=[^\"'\n]+[\"'])"),
    ("comment", r"(?<=[#/] )(?=\w)"),
    ("bracket", r"(?<=[(\[{])|(?=[)\]}])"),
    ("beyond ascii", r"(?=[^\x00-\x7f])"),
)


@dataclass
class Findings:
    """What was asked, and what went wrong."""

    places: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    empty: int = 0


def odd_files() -> dict[str, bytes]:
    """Files that break careless programs."""
    code = "def f(a):\n\tif a:\n\t\treturn 'x'  # why\n\n\treturn \"y\"\n"
    accents = (
        "naïve = 'e\u0301 \u0928\u092e\u0938\u094d\u0924\u0947'\nemoji = '👩‍👩‍👧 🇩🇪 \U0001f600'\n"
    )
    return {
        "crlf.py": (code * 3).replace("\n", "\r\n").encode(),
        "mixed.py": (code + code.replace("\n", "\r\n")).encode(),
        "tabs.c": b"int\tmain(void)\n{\n\treturn\t0;\n}\n",
        "emoji.py": (accents * 4).encode(),
        "bom.py": b"\xef\xbb\xbf" + code.encode(),
        "bom_crlf.js": b"\xef\xbb\xbf" + b"let a = 1;\r\nlet b = `${a}`;\r\n",
        "no_newline.py": code.rstrip("\n").encode(),
        "long_line.json": ('{"a": [' + ", ".join(map(str, range(20_000))) + "]}\n").encode(),
        "latin.c": "/* größe */\nint größe = 1;\n".encode("latin-1"),
        "windows.c": "/* “größe” € */\nint größe = 1;\n".encode("cp1252"),
        "strays.py": accents.encode() + b"caf\xe9 = '\xff\x80'\n" + accents.encode(),
        "empty.py": b"",
        "blank.py": b"\n\n\n",
        "spaces.txt": b"   \t  ",
        "old_mac.txt": b"one\rtwo\rthree\r",
        "feeds.py": b"a = 1\n\x0c\nb = 2\x0b\n\xe2\x80\xa8c = 3\n",
        "controls.py": b"x = '<|endoftext|><fim_prefix><fim_suffix>'\n# <fim_middle> <filename>\n",
    }


def real_files(repositories: Sequence[Path], rng: random.Random, count: int) -> dict[str, bytes]:
    """Some files of the repositories' HEAD."""
    found: dict[str, bytes] = {}
    for number, path in enumerate(repositories):
        repo = GitRepository.discover(path)
        listed = repo.run("ls-tree", "-r", "-z", "HEAD").decode("utf-8", "surrogateescape")
        entries = [line.split("\t", 1) for line in listed.split("\0") if line.endswith(SUFFIXES)]
        for facts, name in rng.sample(entries, min(count, len(entries))):
            data = repo.read_blob(facts.split()[2])
            if len(data) <= MAX_BYTES and b"\0" not in data[:8000]:
                found[f"real{number}/{name}"] = data
    return found


def places(data: bytes, rng: random.Random) -> Iterator[tuple[str, int, int]]:
    """Endless random places of a file: class, line and column as the user counts them."""
    text = readable_text(data.removeprefix(b"\xef\xbb\xbf"), encoding_of(data))
    starts = [0, *(m.end() for m in re.finditer("\n", text))]
    matches = {name: [m.start() for m in re.finditer(rule, text)] for name, rule in _CLASSES}
    known = {
        "first": [0],
        "last": [len(text)],
        "any": range(len(text) + 1),
        **{name: spots for name, spots in matches.items() if spots},
    }
    while True:
        name = rng.choice(list(known))
        offset = rng.choice(known[name])
        line = max(i for i, start in enumerate(starts) if start <= offset)
        end = starts[line + 1] - 1 if line + 1 < len(starts) else len(text)
        content = text[starts[line] : end].removesuffix("\r")
        yield name, line + 1, min(offset - starts[line], len(content)) + 1


def with_closers(request: CompleteRequest, data: bytes) -> tuple[CompleteRequest, str]:
    """The same place in a file whose line ends behind the cursor, or with the closers of what is
    open there; and these closers."""
    document = cut_document(data, parse_location(request.location))
    name = request.location.rsplit(":", 2)[0]
    closers = OpenPairs(document.prefix, name).closers
    rest = data[document.offset :]
    end = rest.find(b"\n")
    behind = rest[end - (rest[end - 1 : end] == b"\r") :] if end >= 0 else b""
    text = data[: document.offset] + closers.encode(document.encoding) + behind
    return replace(request, text=text), closers


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def problems(place: Place, text: str, tokens: int, data: bytes, max_tokens: int) -> Iterator[str]:
    """What is wrong with a completion of so many tokens."""
    document = place.document
    if tokens > max_tokens:
        yield f"{tokens} tokens"
    bare = text.replace("\r\n", "")
    if document.newline == "\r\n" and "\n" in bare:
        yield "a bare newline in a file with CRLF"
    if "\r" in (text if document.newline == "\n" else bare):
        yield "a carriage return of its own"
    whole = data[: document.offset] + text.encode(document.encoding, "replace")
    whole += data[document.offset :]
    if document.encoding == "utf-8" and _is_utf8(data) and not _is_utf8(whole):
        yield "no UTF-8 any more"
    if place.closers:
        before = OpenPairs(document.prefix, place.path).frames
        if OpenPairs(document.prefix + text.replace("\r\n", "\n"), place.path).frames != before:
            yield f"unmatched brackets or quotes in {text!r} before {place.closers!r}"
    read = document.prefix + document.suffix
    wanted = readable_text(data.removeprefix(b"\xef\xbb\xbf"), document.encoding)
    if len(data) < 100_000 and read != wanted.replace("\r\n", "\n"):
        yield "prefix and suffix are not the file"


def fuzz(
    repo: Path,
    files: dict[str, bytes],
    count: int,
    seed: int,
    note: Callable[[int], None] = lambda done: None,
) -> Findings:
    """Ask at ``count`` places of files in a repository that git-copilot knows.

    :param note: gets the number of places done.
    """
    rng = random.Random(seed)
    found = Findings()
    session = Session()
    for name in files:
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
    streams = {name: places(data, rng) for name, data in files.items()}
    try:
        for number in range(count):
            name = rng.choice(list(files))
            kind, line, column = next(streams[name])
            request = CompleteRequest(
                f"{name}:{line}:{column}", repo, text=files[name], max_tokens=MAX_TOKENS,
                retrieval=False,
            )  # fmt: skip
            if number % 2:
                request, closers = with_closers(request, files[name])
                kind = "closers" if closers else kind
            found.places[kind] += 1
            where = f"{name}:{line}:{column} ({kind})"
            try:
                assert request.text is not None
                _one(request, request.text, session, found, where, again=number % AGAIN == 0)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the place matters
                found.wrong.append(f"{where}: {type(exc).__name__}: {exc}")
            note(number + 1)
    finally:
        session.close()
    return found


def _one(
    request: CompleteRequest,
    data: bytes,
    session: Session,
    found: Findings,
    where: str,
    *,
    again: bool,
) -> None:
    begun = time.perf_counter()
    place = find_place(request)
    answer = complete(request, place, session, Callbacks())
    session.take_deferred()
    found.seconds.append(time.perf_counter() - begun)
    found.empty += not answer.completion
    # The lead of a healed prompt is written as well.
    room = MAX_TOKENS + len(answer.explanation.healed.encode())
    wrong = problems(place, answer.completion, answer.completion_tokens, data, room)
    found.wrong += [f"{where}: {problem}" for problem in wrong]
    if again:
        second = complete(request, find_place(request), session, Callbacks())
        session.take_deferred()
        if second.completion != answer.completion:
            found.wrong.append(f"{where}: {answer.completion!r}, then {second.completion!r}")


def prepare(folder: Path, model: Path) -> Path:
    """A repository with git-copilot's state, set to use ``model``."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    repo = GitRepository.discover(folder)
    repo.set_config("copilot.model", str(model))
    repo.set_config("copilot.feedback", "false")
    # What is asked must not depend on how busy the machine is.
    repo.set_config("copilot.latencyMs", "0")
    repo.set_config("copilot.timeLimitMs", "0")
    trust_repository(repo.state_dir)
    Database(repo.state_dir / DATABASE_NAME, create=True).close()
    return folder


def measure(repositories: Sequence[Path], count: int, seed: int) -> dict[str, object]:
    """The whole run on a model of its own."""
    sys.path.insert(0, str(ROOT))
    from tests.support.tiny_models import save_tiny

    files = {**odd_files(), **real_files(repositories, random.Random(seed), 60)}
    with tempfile.TemporaryDirectory() as folder:
        model = save_tiny(Path(folder) / "tiny", fim=True)
        bar = ProgressBar(Stream(sys.stderr, screen=sys.stderr.isatty()))
        found = fuzz(
            prepare(Path(folder) / "repo", model), files, count, seed,
            lambda done: bar("asking", done, count),
        )  # fmt: skip
        bar.finish()
    slow = sorted(found.seconds)
    found.wrong += [f"{slow[-1]:.2f} s for one answer"] if slow[-1] > LIMIT_SECONDS else []
    return {
        "bench": "fuzz",
        "commit": output("git", "-C", str(ROOT), "rev-parse", "HEAD"),
        "machine": machine(),
        "files": len(files),
        "places": dict(found.places.most_common()),
        "asked": found.places.total(),
        "empty": found.empty,
        "milliseconds": {
            "median": round(1000 * slow[len(slow) // 2], 1),
            "p99": round(1000 * slow[len(slow) * 99 // 100], 1),
            "most": round(1000 * slow[-1], 1),
        },
        "wrong": found.wrong,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} places")
    parser.add_argument("--places", type=int, default=PLACES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repo", type=Path, action="append", help="whose files are used")
    options = parser.parse_args(arguments)
    calm_threads()
    count = QUICK if options.quick else options.places
    result = measure(options.repo or [ROOT], count, options.seed)
    print(json.dumps(result, indent=1) if options.json else summary(result))
    return 1 if result["wrong"] else 0


def summary(result: dict[str, object]) -> str:
    """The run for a person."""
    wrong = result["wrong"]
    assert isinstance(wrong, list)
    lines = [
        f"{result['asked']} places in {result['files']} files, {result['empty']} empty answers, "
        f"ms {result['milliseconds']}: {len(wrong)} wrong",
        *map(str, wrong[:20]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
