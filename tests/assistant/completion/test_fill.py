"""A text without a position finds its file, and reads no file that git does not track."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from git_copilot.assistant.api.requests import FillRequest, OpenText
from git_copilot.assistant.completion import fill
from git_copilot.assistant.completion.fill import FillPlaces
from git_copilot.assistant.prompt import location
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync
from tests.support.gitrepo import GitRepo
from tests.support.initialised_repo import initialise_repository

APP = "".join(
    f"def handler_{n}(request):\n    return respond(request, {n})\n\n\n" for n in range(80)
)
OTHER = "".join(f"class Model{n}:\n    table = 'model_{n}'\n\n\n" for n in range(40))
CURSOR = APP.index("respond(request, 40)")
# A part of the file, as clients send it, with an unsaved edit.
PREFIX, SUFFIX = APP[CURSOR - 600 : CURSOR] + "render(", APP[CURSOR + 20 : CURSOR + 500]


def make(path: Path, folder: Path, files: dict[str, str | bytes]) -> GitRepo:
    repo = initialise_repository(GitRepo.init(path), folder)
    repo.commit(files)
    sync_project(repo)
    return repo


def sync_project(repo: GitRepo) -> None:
    found = GitRepository.discover(repo.path)
    with Database(found.state_dir / DATABASE_NAME) as db:
        sync(found, db, None)


@pytest.fixture
def project(tmp_path, folder):
    return make(tmp_path / "project", folder, {"src/app.py": APP, "src/models.py": OTHER})


@pytest.fixture
def places(session):
    return FillPlaces(session)


def find(places, *folders, prefix=PREFIX, suffix=SUFFIX, **more):
    request = FillRequest(prefix, suffix, folders=folders, **more)
    return places.find(request, lambda note: None)


@pytest.mark.parametrize("name", ["src/app.py", "ABSOLUTE"])
def test_a_named_file_is_extended_by_what_is_saved(places, project, name):
    path = str(project.path / "src/app.py") if name == "ABSOLUTE" else name
    request, place = find(places, project.path, path=path, max_tokens=7, client="me")
    assert place.path == "src/app.py" and place.repo.root == project.path
    assert place.document.prefix == APP[:CURSOR] + "render("
    assert place.document.suffix == APP[CURSOR + 20 :]
    assert place.document.line == APP[:CURSOR].count("\n") + 1
    assert (request.max_tokens, request.client) == (7, "me")


def test_without_a_name_the_text_tells_the_file(places, project):
    _, place = find(places, project.path)
    assert place.path == "src/app.py"
    assert place.document.prefix == APP[:CURSOR] + "render("


def test_a_file_is_looked_for_once(places, project, monkeypatch):
    find(places, project.path)
    monkeypatch.setattr(places, "_search", None)
    for typed in ("r", "re", "res"):
        _, place = find(places, project.path, prefix=PREFIX + typed)
        assert place.path == "src/app.py" and place.document.prefix.endswith("render(" + typed)


def test_the_file_may_be_in_a_repository_that_is_in_use(places, project, tmp_path, folder, session):
    other = make(tmp_path / "other", folder, {"lib/unlike.py": OTHER})
    session.workspace(GitRepository.discover(project.path))
    _, place = find(places, other.path)
    assert (place.path, place.repo.root) == ("src/app.py", project.path)


def test_a_relative_name_is_looked_for_where_it_exists(places, project, tmp_path, folder):
    other = make(tmp_path / "other", folder, {"src/other.py": OTHER})
    _, place = find(places, other.path, project.path, path="src/app.py")
    assert place.repo.root == project.path


def test_a_new_file_is_placed_beside_the_others(places, project):
    request, place = find(places, project.path, prefix="totally = ", suffix="\n", language="go")
    assert (place.path, place.repo.root) == ("untitled.go", project.path)
    assert request.location == "untitled.go:1:11"


@pytest.mark.parametrize(
    ("language", "extension"),
    [
        ("python", "py"),
        ("typescriptreact", "tsx"),
        ("shellscript", "bash"),
        ("rust", "rs"),
        ("c++", "cpp"),
    ],
)
def test_editors_names_of_languages_are_known(places, tmp_path, language, extension):
    _, place = find(places, tmp_path, prefix="x", suffix="", language=language)
    assert place.repo is None
    assert place.path in (f"untitled.{extension}", "untitled.sh")


def test_the_language_may_be_that_of_other_open_files(places, tmp_path):
    texts = (OpenText("a.ts", "1"), OpenText("b.ts", "2"), OpenText("c.py", "3"))
    _, place = find(places, tmp_path, prefix="x", suffix="", open_texts=texts)
    assert place.path == "untitled.ts"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../outside.py",
        "missing/dir/new.py",
        "a\0b.py",
        "",
        "/",
        "~nobody-here/x.py",
        "a\ud800.py",
        "x" * 5000,
    ],
)
def test_a_name_outside_of_every_repository_is_a_text_without_one(places, tmp_path, path):
    _, place = find(places, tmp_path, path=path or None, prefix="secret = ", suffix="")
    assert place.repo is None and place.data == b"secret = "
    assert "/" not in place.path


HEADER = "".join(f"# Line {n} of a licence that many files begin with.\n" for n in range(12))


def test_files_that_begin_alike_are_told_apart(places, tmp_path, folder):
    texts = {name: HEADER + APP.replace("handler", name) for name in ("alpha", "beta")}
    repo = make(tmp_path / "twins", folder, {f"{name}.py": text for name, text in texts.items()})
    for name in ("alpha", "beta", "alpha"):
        _, place = find(places, repo.path, prefix=texts[name] + "x = ", suffix="")
        assert place.path == f"{name}.py"


def test_a_file_that_is_committed_later_is_found(places, project, monkeypatch):
    text = OTHER.replace("Model", "Later")
    _, place = find(places, project.path, prefix=text, suffix="")
    assert place.path == "untitled"
    project.commit({"src/later.py": text})
    sync_project(project)
    monkeypatch.setattr(fill, "TRACKED_SECONDS", -1.0)
    _, place = find(places, project.path, prefix=text, suffix="")
    assert place.path == "src/later.py"


def test_a_link_out_of_the_repository_is_not_followed(places, project, tmp_path, monkeypatch):
    outside = tmp_path / "outside.py"
    outside.write_text(APP)
    (project.path / "src/link.py").symlink_to(outside)
    (project.path / "linked").symlink_to(tmp_path)
    for path in ("src/link.py", "linked/outside.py"):
        _, place = find(places, project.path, path=path)
        assert place.data == (PREFIX + SUFFIX).encode(), "nothing of the file was added"


@pytest.mark.parametrize("name", ["untracked.py", "ignored.py", ".env", "src/.git/config"])
def test_a_file_that_git_does_not_track_is_not_read(places, project, monkeypatch, name):
    project.commit({".gitignore": "ignored.py\n"})
    file = project.path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(APP)
    read = []
    monkeypatch.setattr(location, "open_inside", lambda root, path: read.append(path))
    _, place = find(places, project.path, path=name)
    assert place.data == (PREFIX + SUFFIX).encode() and read == []


def test_a_repository_that_is_not_set_up_gives_a_text_without_one(places, tmp_path):
    repo = GitRepo.init(tmp_path / "plain")
    repo.commit({"src/app.py": APP})
    for path in ("src/app.py", None):
        _, place = find(places, repo.path, path=path)
        assert place.repo is None and place.data == (PREFIX + SUFFIX).encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_another_user_gives_a_text_without_one(places, project, monkeypatch):
    for path in (project.path, *project.path.rglob("*")):
        os.lchown(path, 12345, 12345)
    read = []
    monkeypatch.setattr(location, "open_inside", lambda root, path: read.append(path))
    for path in ("src/app.py", str(project.path / "src/app.py"), None):
        _, place = find(places, project.path, path=path)
        assert place.repo is None and place.data == (PREFIX + SUFFIX).encode()
    assert read == []


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [("", ""), ("\n", "\n"), ("a\r\nb", "\r\nc"), ("é𝒳", "\ufeff"), ("\ud800x", ""), ("x\0y", "")],
)
def test_any_text_has_a_place(places, project, prefix, suffix):
    for path in (None, "src/new.py", "src/app.py"):
        _, place = find(places, project.path, path=path, prefix=prefix, suffix=suffix)
        assert place.document.line >= 1
