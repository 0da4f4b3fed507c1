"""Whatever a model writes, brackets opened before the cursor stay closed by the suffix."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from git_copilot.assistant.postprocess.language_notation import notation_of
from git_copilot.assistant.postprocess.lexer import Lexer
from git_copilot.assistant.postprocess.trim import Trimmer

ROOT = Path(__file__).resolve().parents[3]
SOURCES = {
    "a.json": '{\n  "name": "x (1)",\n  "list": [1, {"a": "b\\"c"}],\n  "end": null\n}\n',
    "a.yml": "on: [push]\njobs:\n  test: {name: \"it's\", run: 'a ''b'''}\n  more: don't (ever)\n",
    "a.toml": '[a]\nb = ["x", \'y\']\nc = """\nlong ]\n"""\n',
    "a.html": '<ul class="a">\n  <li>one (1)</li>\n  <li><a href="/">it\'s</a><br></li>\n</ul>\n',
    "a.xml": '<?xml version="1.0"?>\n<a>\n  <b c="d">e</b>\n  <f/>\n</a>\n',
    "a.jsx": 'function A({ x }) {\n  return (\n    <p id="a">don\'t {x.map((i) => <b>{i}</b>)}</p>\n  );\n}\n',
    "a.js": "const a = `${f(`x${1}`)}`;\nif (/[(]/.test(a)) { g('it\\'s', \"b\"); }\n",
    "a.go": "func f(a []int) string {\n\treturn map[string]int{\"a\": 'b'}[`c`]\n}\n",
    "a.rs": "fn f<'a>(x: &'a str) -> char {\n    g(r#\"a\"b\"#, '\\'', vec![\"(\"])\n}\n",
    "a.sql": "SELECT 'it''s', count(\"x\") FROM t WHERE a IN (1, 2); -- don't\n",
    "a.css": '.a { color: rgb(1, 2, 3); content: "}"; } /* don\'t */\n',
    "a.sh": 'for f in "$@"; do\n  echo "$(basename "$f")" \'it\' # don\'t\ndone\n',
    "a.md": "See [the docs](http://x/y) (or not), it's `a`.\n",
    "Makefile": "all: $(addprefix a/,b)\n\techo '$(X)' # don't\n",
}
PIECES = (
    ")", "]", "}", "(", "[", "{", '"', "'", "`", '"""', "</li>", "<b>", "</b>", "</a>", "a", " b", ",",
    ";", "\n", "\n    ", "x = 1", "f(a)", "// it's", "# it's", "/*", "*/", "${", "#{", "<!--", "\\", ":",
)  # fmt: skip


def unmatched(text, path):
    """Closers without openers, and openers without closers."""
    lexer = Lexer(notation_of(path))
    marks = list(lexer.marks(text, (), careful_until=len(text)))
    return marks[-1].faults + lexer.unclosed(marks[-1].stack) if marks else 0


def texts():
    names = ("postprocess/trim", "postprocess/lexer", "client/transport", "prompt/builder")
    own = {x: (ROOT / "assistant" / f"{x}.py").read_text("utf-8")[:4000] for x in names}
    own = {f"{x.rpartition('/')[2]}.py": text for x, text in own.items()}
    return {**SOURCES, **{name: text[: text.rfind("\n\n\n") + 1] for name, text in own.items()}}


@pytest.mark.parametrize("path", [*SOURCES, "README.md", "pyproject.toml"])
def test_a_complete_file_has_no_unmatched_brackets(path):
    text = SOURCES.get(path) or (ROOT / path).read_text("utf-8")
    assert unmatched(text, path) == 0


@pytest.mark.slow
def test_any_completion_leaves_brackets_quotes_and_tags_balanced():
    """2,000 places between an opener and its closer, and any text between."""
    rng, files = random.Random(5), texts()
    tried = kept = 0
    while tried < 2000:
        path = rng.choice(list(files))
        text = files[path]
        at = rng.randrange(len(text) + 1)
        # As an editor leaves it: what was written inside is not there yet, the closer is.
        end = at + rng.choice((0, 0, 1, 3))
        prefix, suffix = text[:at], text[end:]
        written = "".join(rng.choices(PIECES, k=rng.randrange(1, 9)))
        before = unmatched(prefix + suffix, path)
        trimmer = Trimmer(prefix, suffix, path=path)
        once = trimmer.trim(written).text
        tried += 1
        if suffix.partition("\n")[0].strip():
            assert unmatched(prefix + once + suffix, path) <= before, (path, prefix[-40:], written)
        kept += bool(once)
        assert trimmer.trim(once).text == once
    assert kept > 200  # else nothing was tried


@pytest.mark.parametrize(
    ("path", "prefix", "text", "suffix", "wanted"),
    [
        ("a.html", "<ul>\n  <li>", "one</li>", "</li>\n</ul>\n", "one"),
        ("a.html", '<nav>\n  <a href="/">', "Home</a>\n  <b>", "</a>\n</nav>\n", "Home"),
        ("a.json", '{\n  "version": "', '1.0", "a": "b', '"\n}\n', "1.0"),
        ("a.yml", 'image: "', 'nginx"', '"\n', "nginx"),
        ("a.py", "x = f(", "a), g(b", ")\n", "a"),
        ("a.py", "x = f(", "a, [b", ")\n", "a"),
        ("a.py", "def f():\n    '''", "Doc.'''", "'''\n    return 1\n", "Doc."),
        ("a.py", "x = f'a {", "b}'", "}'\n", "b"),
        ("a.sql", "SELECT count(", "name)", ") FROM t;\n", "name"),
        ("a.jsx", "const a = <h2>{", "title}</h2>", "}</h2>;\n", "title"),
        ("a.md", "See [docs](", "/a) and (b", ") for more.\n", "/a"),
        ("a.py", "X = Callable[\n    [A], Response", "]", "\n]\n", ""),
        ("a.go", "func f() {", "\n\tg()\n}", "}\n", "\n\tg()"),
    ],
)  # fmt: skip
def test_a_closer_in_the_suffix_is_not_written_twice(path, prefix, text, suffix, wanted):
    assert Trimmer(prefix, suffix, path=path).trim(text).text == wanted


@pytest.mark.parametrize(
    ("path", "prefix", "text", "suffix"),
    [
        ("a.py", "x = f(", "a, b)", "\ny = 1\n"),
        ("a.py", "f(", "a) + g(", "b)\n"),
        ("a.js", "if (a) {\n  b();\n", "}", "\n"),
        ("a.js", "function f() {\n  ", "if (a) {", "\n  return b;\n}\n"),
        ("a.py", "def f(a):\n    ", "if a:", "\n    return a\n"),
        ("a.json", '{\n  "a": ', "{", "\n}\n"),
    ],
)
def test_a_missing_closer_is_kept_in_the_completion(path, prefix, text, suffix):
    assert Trimmer(prefix, suffix, path=path).trim(text).text == text
