"""``/infill`` as llama.vim and llama.vscode use it."""

from __future__ import annotations

import re

import pytest

from git_copilot.index.search import open_texts
from tests.support.http_server import fill_answer

WANTED = ["content", "timings/prompt_n", "timings/prompt_ms", "timings/predicted_per_second",
          "truncated", "tokens_cached", "no/such/field"]  # fmt: skip


def infill(**more):
    return {"input_prefix": "import os\n", "input_suffix": "\nend\n", "prompt": "x = ", **more}


def test_the_text_before_the_cursor_is_prefix_and_prompt(serve_http):
    running = serve_http()
    answer = running.post("/infill", infill(n_predict=20, model="", id_slot=3)).json()
    (request,) = running.service.requests
    assert (request.prefix, request.suffix) == ("import os\nx = ", "\nend\n")
    assert (request.max_tokens, request.model, request.count) == (20, None, 1)
    assert request.client == "http/llama.cpp", "statistics tell protocols apart"
    assert answer["content"] == "done" and answer["id_slot"] == 3
    assert answer["generation_settings"]["n_ctx"] > 0
    assert answer["timings"]["predicted_n"] == 3 and answer["timings"]["prompt_n"] == 15


def test_an_answer_is_one_line_without_blanks_that_llama_vim_accepts(serve_http):
    running = serve_http(lambda *_: fill_answer('a "b"\n\tc é'))
    text = running.post("/infill", infill(response_fields=WANTED)).text
    assert "\n" not in text
    assert re.match(r"\s*{", text) and '"content":"' in text
    flat = running.post("/infill", infill(response_fields=WANTED)).json()
    assert set(flat) == set(WANTED[:-1])
    assert flat["content"] == 'a "b"\n\tc é' and flat["timings/prompt_n"] == 15


def test_several_completions_are_answered_by_one_object(serve_http):
    running = serve_http()
    answer = running.post("/infill", infill(n_cmpl=3)).json()
    assert answer["content"] == "done"
    assert running.service.requests[0].count == 1


def test_warming_up_computes_nothing_and_loads_the_model(serve_http):
    running = serve_http()
    for fields in ([], [""]):
        body = {"input_prefix": "", "input_suffix": "", "input_extra": [], "prompt": "",
                "n_predict": 0, "response_fields": fields}  # fmt: skip
        assert running.post("/infill", body).status_code == 200
    assert running.service.requests == []
    running.post("/infill", infill())
    assert running.service.preloaded == 3, "once at the start, once for each"


def test_times_bound_the_request(serve_http):
    running = serve_http()
    running.post("/infill", infill(t_max_prompt_ms=500, t_max_predict_ms=250))
    running.post("/infill", infill(t_max_prompt_ms=-1, t_max_predict_ms=0))
    first, second = running.service.requests
    assert (first.latency_ms, first.time_limit_ms) == (500, 850)
    assert (second.latency_ms, second.time_limit_ms) == (None, None)


def test_open_chunks_go_along_with_any_kind_of_time(serve_http, tmp_path):
    running = serve_http()
    extra = [
        {"text": "a = 1", "time": [1, 2], "filename": "b.py"},
        {"text": "c = 1", "time": 7, "filename": str(tmp_path / "d.py")},
        {"text": "nameless", "filename": ""},
        "no object",
    ]
    assert running.post("/infill", infill(input_extra=extra)).is_success
    (request,) = running.service.requests
    assert [(each.path, each.text) for each in request.open_texts] == [
        ("b.py", "a = 1"), (str(tmp_path / "d.py"), "c = 1"),
    ]  # fmt: skip
    assert request.folders == (tmp_path,)


@pytest.mark.parametrize(
    ("indent", "content"), [(0, "a\n    b\nc"), (4, "a\n    b"), (8, "a"), (None, "a\n    b\nc")]
)
def test_lines_that_leave_the_indentation_are_cut(serve_http, indent, content):
    running = serve_http(lambda *_: fill_answer("a\n    b\nc"))
    assert running.post("/infill", infill(n_indent=indent)).json()["content"] == content


def test_stop_strings_end_the_text(serve_http):
    running = serve_http(lambda *_: fill_answer("a b\nc"))
    assert running.post("/infill", infill(stop=["\n", "x"])).json()["content"] == "a b"
    assert running.post("/infill", infill(stop=[""])).json()["content"] == "a b\nc"


def test_it_streams_one_event(serve_http):
    running = serve_http()
    answer = running.post("/infill", infill(stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith('data: {"index":0,"content":"done"') and answer.text.endswith(
        "\n\n"
    )


@pytest.mark.parametrize(
    "body",
    [
        {"input_suffix": ""},
        {"input_prefix": "x"},
        infill(input_extra="x"),
        infill(input_extra=[{"filename": "a.py"}]),
        infill(n_predict="many"),
    ],
)
def test_what_llama_cpp_refuses_is_refused_in_its_form(serve_http, body):
    answer = serve_http().post("/infill", body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == 400 and error["type"] == "invalid_request_error" and error["message"]


def test_plugins_that_probe_find_properties(serve_http):
    found = serve_http().client.get("/props").json()
    assert found["default_generation_settings"]["n_ctx"] > 0 and found["total_slots"] == 1


def test_of_many_chunks_the_last_ones_are_searched(serve_http):
    """llama.vim sends the newest last; the index looks at the first ones that it is given."""
    running = serve_http()
    extra = [{"text": f"x = {n}\n", "filename": f"src/a{n}.py", "time": n} for n in range(100)]
    running.post("/infill", {"input_prefix": "a", "input_suffix": "", "input_extra": extra})
    texts = running.service.requests[-1].open_texts
    assert [each.path for each in texts] == [
        f"src/a{n}.py" for n in range(100 - open_texts.MAX_TEXTS, 100)
    ]
