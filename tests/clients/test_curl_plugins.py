"""llama.vim and minuet ask with curl. Their command lines, the requests that their source builds, and
what they read of the answer, written down again here."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

LLAMA_FIELDS = (
    "content", "timings/prompt_n", "timings/prompt_ms", "timings/prompt_per_token_ms",
    "timings/prompt_per_second", "timings/predicted_n", "timings/predicted_ms",
    "timings/predicted_per_token_ms", "timings/predicted_per_second", "truncated", "tokens_cached",
)  # fmt: skip
CURL_TIMED_OUT = 28


def llama_curl(served, token):
    """llama.vim's command; it sends the header with an empty key too."""
    return [
        "curl", "--silent", "--no-buffer", "--request", "POST", "--url", f"{served.url}/infill",
        "--header", "Content-Type: application/json", "--data", "@-",
        "--header", f"Authorization: Bearer {token}",
    ]  # fmt: skip


def llama_request(before, after, *, blank=False, ms=250):
    """llama.vim's request: on a line of white space it starts from the beginning of the line."""
    above, newline, line = before.rpartition("\n")
    return {
        "id_slot": 0, "input_prefix": above + newline, "input_suffix": after,
        "input_extra": [{"text": "total = 0\n", "time": [12, 345678], "filename": "src/new.py"}],
        "prompt": "" if blank else line, "n_predict": 128, "stop": [],
        "n_indent": 0 if blank else len(line) - len(line.lstrip()), "top_k": 40, "top_p": 0.90,
        "samplers": ["top_k", "top_p", "infill"], "stream": False, "cache_prompt": True,
        "t_max_prompt_ms": 500, "t_max_predict_ms": ms, "response_fields": LLAMA_FIELDS, "model": "",
    }  # fmt: skip


def run(command, request):
    return subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, timeout=60
    )


def llama_reads(output):
    """llama.vim's quick look, of each line that classic Vim gives it, and what it decodes."""
    (line,) = output.split("\n")
    assert re.match(r"\s*{", line) and re.search(r'"content"\s*:"', line), line
    return json.loads(line)


def test_llama_vim_reads_text_and_times(served, place):
    before, after, written = place
    answer = llama_reads(run(llama_curl(served, served.token), llama_request(before, after)).stdout)
    assert answer["content"] == written
    for name in LLAMA_FIELDS[1:9]:
        assert isinstance(answer[name], int | float), name
    assert answer["tokens_cached"] >= 0 and answer["truncated"] is False
    assert "src/shapes.py" in served.prompts[-1]


def test_llama_vim_gets_the_indentation_of_a_blank_line(served, place):
    before, after, written = place
    served.write(f"        return {written}")
    before, after = before.removesuffix("        return ") + "        ", f"\n{after.lstrip()}"
    output = run(llama_curl(served, served.token), llama_request(before, after, blank=True)).stdout
    assert llama_reads(output)["content"] == f"        return {written}"


def test_llama_vim_warms_up_with_its_chunks(served):
    extra = [{"text": "total = 0\n", "time": [1, 2], "filename": ""}]
    request = {
        **llama_request("", ""), "input_extra": extra, "n_predict": 0, "samplers": [],
        "t_max_prompt_ms": 500, "t_max_predict_ms": 1, "response_fields": [""],
    }  # fmt: skip
    done = run(llama_curl(served, served.token), request)
    assert done.returncode == 0 and json.loads(done.stdout) == {}
    assert not served.prompts


def test_llama_vim_sees_nothing_without_the_token(served, place):
    done = run(llama_curl(served, ""), llama_request(*place[:2]))
    assert done.returncode == 0 and '"content"' not in done.stdout
    assert json.loads(done.stdout)["error"]["code"] == 401


def minuet_curl(served, folder, path, request, seconds=3):
    """minuet's command; the request is a file."""
    body = folder / "request.json"
    body.write_text(json.dumps(request))
    return [
        "curl", "-L", "-H", "Content-Type: application/json", "-H", "Accept: application/json",
        "-H", f"Authorization: Bearer {served.token}", "--max-time", str(seconds),
        "-d", f"@{body}", "--silent", f"{served.url}{path}",
    ]  # fmt: skip


def minuet_request(before, after):
    header = "# language: python\n# indentation: use 4 spaces for a tab\n"
    return {
        "model": "git-copilot", "stream": True, "prompt": header + before, "suffix": after,
        "max_tokens": 56, "top_p": 0.9,
    }  # fmt: skip


def minuet_reads(output, text_of=lambda choice: choice["text"]):
    """minuet's reading of a stream: lines that it cannot decode or that have no text are left out."""
    pieces = []
    for line in output.split("\n"):
        try:
            pieces.append(text_of(json.loads(line.removeprefix("data:"))["choices"][0]))
        except (ValueError, KeyError, IndexError):
            continue
    return "".join(pieces)


@pytest.mark.parametrize(
    ("path", "text_of"),
    [
        ("/v1/completions", lambda choice: choice["text"]),
        ("/v1/fim/completions", lambda choice: choice["delta"]["content"]),
    ],
)
def test_minuet_joins_the_pieces_of_a_stream(served, tmp_path, place, path, text_of):
    before, after, written = place
    command = minuet_curl(served, tmp_path, path, minuet_request(before, after))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and minuet_reads(done.stdout, text_of) == written
    assert "# language" not in served.prompts[-1] and "src/shapes.py" in served.prompts[-1]


def test_minuets_equal_requests_are_computed_once(served, tmp_path, place):
    before, after, _ = place
    text = "abs(\n            self.width * self.height\n        )"
    served.write(text, pause=0.5)
    command = minuet_curl(served, tmp_path, "/v1/completions", minuet_request(before, after), 10)
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [each.communicate(timeout=60)[0] for each in running]
    assert [minuet_reads(output) for output in outputs] == [text] * 3
    assert len(served.prompts) == 1


def test_minuet_keeps_what_came_until_its_time_was_up(served, tmp_path, place):
    before, after, _ = place
    names = [
        "anchor",
        "border",
        "colour",
        "depth",
        "edge",
        "fill",
        "grid",
        "hatch",
        "inset",
        "join",
        "kerning",
        "layer",
    ]
    lines = "".join(f"            self.{name}.{name[::-1]},\n" for name in names)
    served.write(f"sum([\n{lines}        ])", pause=0.5)
    request = {**minuet_request(before, after), "max_tokens": 1000}
    command = minuet_curl(served, tmp_path, "/v1/completions", request)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == CURL_TIMED_OUT
    text = minuet_reads(done.stdout)
    assert text.startswith("sum([\n            self.anchor.rohcna,\n")
    assert "self.layer" not in text
