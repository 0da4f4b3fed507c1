"""Files of secrets are left out by their names; lines that the user allows are taken in, and what
is forbidden again is gone."""

from __future__ import annotations

import pytest

from git_copilot.index.audit import reindex
from git_copilot.index.audit.secret_report import excluded_secrets
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.filters import rules
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.git.trust import trust_repository
from git_copilot.index.search.overlay import chunk_uncommitted
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.search.worktree import Worktree
from git_copilot.index.secrets.redaction import redact
from git_copilot.index.secrets.scan import find_secrets, fingerprint, touches_secret
from git_copilot.index.store import allowed_lines, views
from git_copilot.index.store.allowed_lines import allowed_in
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.store.forget import scrub
from git_copilot.index.store.migrate import read_preserved, write_before_mining
from git_copilot.index.sync.sync import sync
from git_copilot.index.text.classify import skip_path
from git_copilot.index.text.secret_files import is_secret_file, mask_values
from tests.support.fakes import HashingEmbedder

VALUE = "Tr0ub4dor" + "Zebra7"
LINE = f'    session = open_session(host, password="{VALUE}")'
CODE = f"""\
def connect(host, user):
{LINE}
    return session.begin(host, user)


def close(connection):
    connection.flush(everything=True)
    connection.end(reason="closed by the user")
"""


@pytest.mark.parametrize(
    "path",
    [
        ".env", "app/.env.production", "deploy/prod.env", ".htpasswd", ".npmrc", "x/.pypirc", ".netrc",
        "_netrc", ".pgpass", ".my.cnf", "keys/id_rsa", "id_ed25519", "tls/server.pem", "server.key",
        "a.p12", "a.pfx", "a.jks", "release.keystore", "vault.kdbx", "office.ovpn",
        "home/.docker/config.json", ".kube/config", "kubeconfig", ".aws/credentials", ".git-credentials",
        "terraform.tfstate", "prod.tfvars", "service-account.json", ".vault-token", "config/secrets.yml",
        ".ENV",
    ],
)  # fmt: skip
def test_file_names_of_secret_files_are_recognised(path):
    assert is_secret_file(path) and skip_path(path) == "secret file"


@pytest.mark.parametrize(
    "path",
    [
        ".env.example", ".env.sample", "env.template", ".env.dist", "id_rsa.pub", "environment.py",
        "config.json", "docker/config.json", "src/config", "credentials.py", "secrets.py", "keys.py",
        "public.key.md", "example.tfvars", "terraform.tf", "src/env.ts", "tokens.json",
    ],
)  # fmt: skip
def test_ordinary_file_names_are_not_secret_files(path):
    assert not is_secret_file(path) and skip_path(path) is None


@pytest.fixture
def database(repo, tmp_path):
    state = repo.git_dir / "copilot"
    state.mkdir()
    with Database(state / DATABASE_NAME, create=True) as db:
        yield db


def test_an_attribute_includes_a_secret_file_and_its_lines_are_scanned(repo, database):
    files = {".env": f"NAME=quokka\nDB_PASSWORD={VALUE}\n", "a.py": "x = 1\n"}
    repo.commit(files)
    git = GitRepository.discover(repo.path)
    assert rules.exclusion_reasons(git, git.head_tree_or_empty(), list(files)) == {
        ".env": "secret file"
    }
    sync(git, database, None)
    assert views.view_paths(database, "") == ["a.py"]
    repo.commit({".gitattributes": ".env copilot\n"})
    sync(git, database, None)
    searcher = Searcher(database, "", None)
    (hit,) = searcher.search(Query("quokka"), 5, None)
    assert hit.text.split("\n")[:2] == ["NAME=quokka", ""]
    assert searcher.search(Query(VALUE), 5, None) == []


def test_an_uncommitted_secret_file_is_not_in_the_overlay(repo, database):
    repo.commit({"a.py": "x = 1\n"})
    git = GitRepository.discover(repo.path)
    sync(git, database, None)
    repo.write({".env.local": f"SECRET={VALUE}\n", "b.py": "y = 2\n"})
    worktree = Worktree(git, database)
    worktree.begin()
    assert list(worktree.overlay().paths) == ["b.py"]
    worktree.close()


def stored(database):
    database.query("PRAGMA wal_checkpoint(TRUNCATE)")
    return database.path.read_bytes()


def test_an_allowed_line_is_indexed_until_forbidden_again(repo, database):
    for i in range(30):
        repo.commit({f"src/m{i}.py": CODE.replace("host", f"host{i}")})
    repo.commit({"one.py": CODE, "two.py": f"import three\n\n\n{CODE}"})
    git = GitRepository.discover(repo.path)
    trust_repository(git.state_dir, adopt=True)
    embedder = HashingEmbedder()
    sync(git, database, embedder)
    mine(git, database)
    assert VALUE.encode() not in stored(database)
    before = views.view_counts(database, "", embedder.name)
    kept = list(excluded_secrets(git, database, allowed_lines.load(database)))
    assert len(kept) == 32 and all(
        VALUE not in each.masked and each.line in (2, 5) for each in kept
    )
    (mine_one,) = [each for each in kept if each.path == "one.py"]

    # By its text: also in another file, but not what says something else.
    assert reindex.allow_lines(git, database, [("one.py", *mine_one.lines[0])]) == 2
    mine(git, database)
    sync(git, database, embedder)
    after = views.view_counts(database, "", embedder.name)
    assert after["secrets"] == before["secrets"] - 2 and after["vectors"] == after["chunks"]
    (first, *_) = Searcher(database, "", None).search(Query(VALUE), 9, None)
    assert first.path in ("one.py", "two.py") and VALUE in first.text
    assert database.scalar(f"SELECT count(*) FROM chunks WHERE text LIKE '%{VALUE}%'") == 2
    assert allowed_in(git) == {fingerprint(LINE)}
    rest = list(excluded_secrets(git, database, allowed_lines.load(database)))
    assert [e.path for e in rest if e.allowed] == ["one.py", "two.py"] and len(rest) == 32

    assert reindex.disallow_lines(git, database, allowed_lines.entries(database)) == 2
    scrub(database, git.state_dir)
    mine(git, database)
    sync(git, database, embedder)
    assert views.view_counts(database, "", embedder.name) == before
    assert VALUE.encode() not in stored(database) and allowed_in(git) == frozenset()


def test_mining_and_redaction_obey_allowed_lines(repo, database):
    data, taken_in = CODE.encode(), {fingerprint(f"  {LINE}  ")}
    start = data.index(b"session =")
    assert touches_secret(data, start, start + 9, "python")
    assert not touches_secret(data, start, start + 9, "python", taken_in)
    assert VALUE not in redact(CODE, "a.py") and redact(CODE, "a.py", taken_in) == CODE
    chunks = chunk_uncommitted("a.py", data, allowed=taken_in).chunks
    assert VALUE in "".join(chunk.text for chunk in chunks)
    repo.commit({f"m{i}.py": CODE for i in range(30)})
    git = GitRepository.discover(repo.path)
    mine(git, database)
    left_out = "SELECT sum(count) FROM left_out WHERE reason = 'secret'"
    assert database.scalar(left_out) > 0
    reindex.allow_lines(git, database, [("m0.py", 2, fingerprint(LINE))])
    mine(git, database)
    assert database.scalar(left_out) == 0
    assert load_holes(database, repo.git("rev-list", "HEAD").split())


def test_a_rebuild_keeps_allowed_lines(repo, database, tmp_path):
    entry = allowed_lines.AllowedLine(fingerprint(LINE), "é.py", 2, 1_700_000_000)
    allowed_lines.write_entries(database, [entry])
    old = read_preserved(database.path)
    with Database(tmp_path / "new.db", create=True) as new:
        write_before_mining(new, old)
        assert allowed_lines.entries(new) == [entry]


def test_an_older_database_allows_nothing(repo, database):
    with database.transaction() as connection:
        connection.execute("DROP TABLE allowed")
    assert allowed_in(GitRepository.discover(repo.path)) == frozenset()
    assert read_preserved(database.path).allowed == []


@pytest.mark.parametrize("mark", ["pragma: allowlist secret", "gitleaks:allow"])
def test_marks_of_other_tools_allow_a_line(mark):
    line = f'password = "{VALUE}"'
    assert find_secrets(line, "a.py") and find_secrets(f"{line}  # {mark}", "a.py") == []
    assert find_secrets(f'PASSWORD = (\n    "{VALUE}"  # {mark}\n)', "a.py") == []


def test_a_secret_file_is_masked_completely():
    text = "# note: mine\nexport DB_PASSWORD=Abc1 d\nplain9\n"
    assert mask_values(text) == "# xxxx: xxxx\nexport DB_PASSWORD=xxx0 x\nxxxxx0\n"
