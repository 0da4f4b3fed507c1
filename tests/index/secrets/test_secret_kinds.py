"""Made-up secrets of every kind stand nowhere: not in the database, an export, a training text, a
search; and what reads like one in real code stays."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from git_copilot.assistant.context.repository import RepositoryContext
from git_copilot.assistant.core.config import Settings
from git_copilot.assistant.dataset.cuts import read_cuts
from git_copilot.assistant.dataset.export import ExportRequest, export_corpus
from git_copilot.index.corpus.mining import load_holes, mine
from git_copilot.index.corpus.snapshot import snapshot_holes
from git_copilot.index.git.repository import GitRepository
from git_copilot.index.search.retriever import Query, Searcher
from git_copilot.index.secrets.redaction import redact
from git_copilot.index.secrets.scan import find_secrets
from git_copilot.index.store.database import DATABASE_NAME, Database
from git_copilot.index.sync.sync import sync

sys.path.append(str(Path(__file__).parents[3] / "bench"))
from planted import planted

KINDS = defaultdict(list)
for number in range(3):
    for each in planted(number):
        KINDS[each.kind].append(each)
# Lines that holes are cut from, around what is planted.
CODE = "\n".join(f"total_{i} = compute(total_{i - 1}, width, height) + offset" for i in range(1, 9))

MORE = CODE.replace("height", "depth")


def test_every_kind_of_secret_is_planted():
    names = {case.path.rpartition("/")[2] for cases in KINDS.values() for case in cases}
    endings = {name.rpartition(".")[2] for name in names}
    assert len(KINDS) >= 60
    assert endings >= {
        "py", "js", "ts", "go", "java", "php", "rb", "sh", "yaml", "json", "toml", "ini", "xml",
        "sql", "Dockerfile", "example", "ps1", "tf", "cs", "md",
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_planted_secret_is_hidden(kind):
    for case in KINDS[kind]:
        shown = redact(case.text, case.path)
        assert not [value for value in case.values if value in shown], shown
        assert find_secrets(shown, case.path) == [], shown


@pytest.fixture(scope="module")
def planted_repo(tmp_path_factory):
    """All kinds of secrets in one history, indexed and mined."""
    from tests.support.gitrepo import GitRepo

    repo = GitRepo.init(tmp_path_factory.mktemp("planted") / "repo")
    cases = list(planted(7))
    repo.commit({case.path: f"{CODE}\n" for case in cases})
    for begin in range(0, len(cases), 20):  # a commit gives so many holes at most
        texts = {c.path: f"{MORE}\n{c.text}{MORE}\n" for c in cases[begin : begin + 20]}
        repo.commit(texts)
    found = GitRepository.discover(repo.path)
    found.state_dir.mkdir(parents=True, exist_ok=True)
    with Database(found.state_dir / DATABASE_NAME, create=True) as db:
        sync(found, db, None)
        mine(found, db)
        yield cases, found, db


def assert_hidden(cases, text):
    """Passwords that are plain words also occur in this module, so they are searched as a whole."""
    text = text.lower()
    left = [(c.kind, c.text) for c in cases for v in c.values if v.lower() in text]
    assert not left, left[:5]


def test_no_planted_secret_is_in_the_database(planted_repo):
    cases, _, db = planted_repo
    assert db.scalar("SELECT count(*) FROM chunks") >= len(cases)
    db.query("PRAGMA wal_checkpoint(TRUNCATE)")
    assert_hidden(cases, db.path.read_bytes().decode("latin-1"))
    assert db.scalar("SELECT count(*) FROM blobs WHERE secrets = 0 AND skipped IS NULL") <= 3


def test_no_planted_secret_is_found_by_search(planted_repo):
    cases, _, db = planted_repo
    searcher = Searcher(db, "", None)
    for case in cases:
        for value in case.values:
            hits = searcher.search(Query(value), 3, None)
            assert_hidden([case], "\n".join(hit.text for hit in hits))


def test_no_planted_secret_is_in_a_hole_or_training_text(planted_repo):
    cases, found, db = planted_repo
    holes = load_holes(db, found.run("rev-list", "HEAD").decode().split())
    standing = list(snapshot_holes(found, "HEAD"))
    assert len(holes) > 100 and len(standing) > 100
    cuts = read_cuts(found, [*holes, *standing])
    assert_hidden(cases, "\n".join(cut.prefix + cut.middle + cut.suffix for cut in cuts))


@pytest.mark.parametrize("source", ["commits", "snapshot"])
def test_no_planted_secret_is_in_an_export(planted_repo, tmp_path, source):
    cases, found, db = planted_repo
    out = tmp_path / "out.jsonl"
    assert export_corpus(RepositoryContext(found, db, Settings()), out, ExportRequest(source)) > 100
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    names = ("prefix", "middle", "suffix") if source == "commits" else ("content",)
    assert_hidden(cases, "\n".join(row[name] for row in rows for name in names))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.py", 'password = os.environ["DB_PASSWORD"]'),
        ("a.py", "def login(user: str, password: str = None) -> Token:"),
        ("a.py", 'token = request.headers.get("Authorization")'),
        ("a.py", 'parser.add_argument("--password", help="the password of the server")'),
        ("a.py", 'fields = ("username", "password", "email")'),
        ("a.py", 'password = getpass.getpass("Password: ")'),
        ("a.py", 'raise ValueError("password must be at least 8 characters")'),
        ("a.py", 'path("password_reset/", views.reset, name="password_reset_url")'),
        ("a.py", 'if token == "identifier":'),
        ("a.py", 'password_label = "Enter password 2 times"'),
        ("a.py", 'next_page_token = "CAESBmFiY2RlZg"'),
        ("a.py", 'primary_key = "customer_id_2024"'),
        ("a.py", 'url = f"https://{user}:{password}@{host}/"'),
        ("a.js", "const password = process.env.DB_PASSWORD;"),
        ("a.js", "password: config.get('db.password'),"),
        ("a.js", 'placeholder="your-token-here-1"'),
        ("a.ts", "interface Login { password: string; token?: string }"),
        ("a.go", 'password := os.Getenv("DB_PASSWORD")'),
        ("a.go", "Token string `json:\"access_token\"`"),
        ("a.java", '@Value("${db.password}") private String password;'),
        ("a.rb", "password: ENV.fetch('DB_PASSWORD')"),
        ("a.php", "define('DB_PASSWORD', getenv('DB_PASSWORD'));"),
        ("a.sh", 'PASSWORD="$(cat /run/secrets/db)"'),
        ("a.sh", "curl -u \"$USER:$PASS\" https://example.org"),
        ("a.sh", "mysql -u root -p app"),
        ("a.yaml", "password: ${DB_PASSWORD}"),
        ("a.yaml", "password: {{ vault_password }}"),
        ("a.yaml", "token: !Ref ApiToken2"),
        ("a.yaml", "secretName: tls-secret-1"),
        ("a.env.example", "DB_PASSWORD=changeme"),
        ("a.env.example", "API_TOKEN=<your-token-1>"),
        ("a.env.example", "SECRET="),
        ("a.xml", "<password>${db.password}</password>"),
        ("a.sql", "ALTER TABLE users ADD COLUMN password VARCHAR(255);"),
        ("a.sql", "CREATE USER app IDENTIFIED BY '${PASSWORD}';"),
        ("a.tf", "password = var.db_password"),
        ("a.ps1", "$secure = ConvertTo-SecureString $env:PASSWORD -AsPlainText"),
        ("Dockerfile", "ENV DB_PASSWORD=$DB_PASSWORD"),
        ("a.md", "Set the password: it should be long and hard to guess."),
        ("a.md", "Send `Authorization: Bearer <token>` with each request."),
        ("a.html", '<input type="password" name="password" placeholder="Password">'),
    ],
)  # fmt: skip
def test_ordinary_values_are_not_hidden(path, line):
    assert find_secrets(f"first\n{line}\nlast", path) == []
