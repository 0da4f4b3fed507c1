"""bench/quality.py: the sandbox holds, holes and prompts are what they should be, figures add up."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import CODE, save_tiny

from git_copilot.assistant.dataset import cut_blob, make_example
from git_copilot.assistant.evaluate import evaluate
from git_copilot.assistant.healing import heal
from git_copilot.assistant.loading import load_model
from git_copilot.assistant.prompt import Budget
from git_copilot.assistant.tokens import TextTokenizer
from git_copilot.index.errors import CopilotError
from git_copilot.index.types import Hole

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    figures, infilling, quality, sandbox = (
        importlib.import_module(name) for name in ("figures", "infilling", "quality", "sandbox")
    )

SHORT = sandbox.Limits(cpu_seconds=1)
HEAD = 'def double(x):\n    """Twice x."""\n'
TEST = "def check(candidate):\n    assert candidate(4) == 8\n"
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's limits differ")


def row(number, prompt, middle, suffix):
    return {
        "task_id": f"SingleLineInfilling/HumanEval/{number}/L0",
        "entry_point": "double",
        "prompt": prompt,
        "canonical_solution": middle,
        "suffix": suffix,
        "test": TEST,
    }


ROWS = [
    row(0, HEAD, "    y = x * 2\n", "    return y\n"),
    row(0, HEAD + "    y = x * 2\n", "    return y\n", ""),
    row(1, HEAD, "    return x + x\n", ""),
]


# The sandbox


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("assert 1 + 1 == 2", "passed"),
        ("from typing import List\nimport math, re, hashlib\nassert math.gcd(4, 6) == 2", "passed"),
        ("assert False", "failed"),
        ("def broken(:", "failed"),
        ("raise SystemExit(0)", "failed"),
        ("import os\nos._exit(0)", "failed"),
        ("import os, sys\nos._exit = sys.exit = print\nassert False", "failed"),
        ("input()", "failed"),
        ("if __name__ == '__main__':\n    assert False", "passed"),
        ("text = '\ud800'", "passed"),
    ],
)
def test_only_a_program_that_reaches_its_end_passes(program, verdict):
    assert sandbox.run_program(program) == verdict


@pytest.mark.parametrize(
    "program",
    [
        "while True:\n    pass",
        "import signal\nsignal.signal(signal.SIGXCPU, lambda *a: None)\nwhile True:\n    pass",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
    ],
    ids=["loop", "loop that ignores the signal", "fork bomb"],
)
def test_processor_time_is_bounded(program):
    assert sandbox.run_program(program, SHORT) == "timeout"


def test_waiting_is_bounded():
    limits = sandbox.Limits(wall_seconds=1.0)
    assert sandbox.run_program("import time\ntime.sleep(60)", limits) == "timeout"


def test_a_program_cannot_start_processes():
    program = """
import os
for start in (os.fork, lambda: os.system("true"), lambda: os.execv("/bin/true", ["true"])):
    try:
        start()
    except PermissionError:
        continue
    raise SystemExit
"""
    assert sandbox.run_program(program) == "passed"


@linux
def test_the_kernel_itself_allows_no_process_more():
    program = """
import _thread
try:
    _thread.start_new_thread(print, ())
except RuntimeError:
    pass
else:
    raise SystemExit
"""
    assert sandbox.run_program(program) == "passed"


def test_nothing_reaches_the_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        program = f"import socket\nsocket.create_connection(('127.0.0.1', {port}))"
        assert sandbox.run_program(program) == "failed"
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "statement",
    [
        "import socket; socket.socket()",
        "import subprocess; subprocess.run(['true'])",
        "import ctypes; ctypes.CDLL(None)",
        "import os; os.kill(os.getppid(), 0)",
        "import os; os.remove(OUTSIDE)",
        "import shutil; shutil.rmtree(os.path.dirname(OUTSIDE))",
        "open(OUTSIDE, 'a')",
        "import os; os.open(OUTSIDE, os.O_WRONLY)",
        "import pathlib; pathlib.Path('..', 'other', 'kept').write_text('')",
    ],
)
def test_the_audit_hook_refuses_what_can_do_harm(statement, tmp_path):
    """By itself: in a process with all the rights of this one."""
    inside, other = tmp_path / "inside", tmp_path / "other"
    inside.mkdir()
    other.mkdir()
    (other / "kept").write_text("kept")
    code = (
        "import os, sys, socket, subprocess, ctypes, shutil, pathlib, sandbox_child\n"
        f"OUTSIDE = {str(other / 'kept')!r}\n"
        f"sandbox_child.refuse_by_audit({str(inside)!r})\n"
        "open('mine', 'w').write('x')\n"
        f"try:\n    {statement}\n"
        "except PermissionError as exc:\n    print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=inside,
        env={"PYTHONPATH": str(BENCH), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("refused in the sandbox: "), done.stderr
    assert (other / "kept").read_text() == "kept"


@linux
def test_memory_and_files_are_bounded():
    assert sandbox.run_program("x = bytearray(64 << 20)") == "passed"
    assert sandbox.run_program("x = bytearray(2 << 30)") == "failed"
    assert sandbox.run_program("open('a', 'w').write('x' * 1000)") == "passed"
    assert sandbox.run_program("open('a', 'w').write('x' * (2 << 20))") == "failed"


def test_what_a_program_prints_is_ignored():
    assert sandbox.run_program("print('x' * 10**7)") == "passed"
    assert sandbox.run_program("print('passed')\nassert False") == "failed"


def test_a_program_sees_nothing_of_the_users_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("SECRET", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tmp_path.chmod(0o755)
    program = """
import os
assert set(os.environ) <= {"PYTHONHASHSEED", "LC_CTYPE"}, os.environ
assert os.listdir() == []
open("left", "w").write("behind")
assert os.listdir() == ["left"]
"""
    assert sandbox.run_programs([program, program + "\n"]) == ["passed", "passed"]
    assert list(tmp_path.iterdir()) == []


def test_verdicts_come_in_the_order_of_the_programs():
    programs = ["x = 1", "assert False", "x = 1", "x = 2"] * 3
    shown = []
    verdicts = sandbox.run_programs(programs, progress=lambda *done: shown.append(done))
    assert verdicts == ["passed", "failed", "passed", "passed"] * 3
    assert shown[-1] == ("running tests", 3, 3)  # equal ones once


def test_a_sandbox_that_runs_nothing_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "CHILD", tmp_path / "gone.py")
    with pytest.raises(CopilotError, match="runs no program"):
        sandbox.run_programs(["x = 1"])


# Holes


def test_line_ends_go_behind_the_cursor_and_the_program_stays_the_same():
    task = infilling.make_task(ROWS[0])
    assert (task.middle, task.suffix) == ("    y = x * 2", "\n    return y\n")
    assert task.problem == "HumanEval/0"
    whole = "".join(ROWS[0][k] for k in ("prompt", "canonical_solution", "suffix"))
    assert task.program(task.middle) == f"{whole}\n{TEST}\ncheck(double)\n"
    assert infilling.make_task({**ROWS[0], "canonical_solution": "\n"}).middle == "\n"


def test_a_sample_is_seeded_and_has_its_share_of_each_problem():
    tasks = [infilling.make_task(row(i // 10 % 3, HEAD, f"    {i}\n", "")) for i in range(30)]
    tasks += [infilling.make_task(row(7, HEAD, f"    {i}\n", "")) for i in range(30)]
    found = infilling.sample(tasks, 20, 1)
    assert found == infilling.sample(tasks, 20, 1) != infilling.sample(tasks, 20, 2)
    assert len({t.middle + t.problem for t in found}) == 20
    assert sum(t.problem == "HumanEval/7" for t in found) == 10
    assert infilling.sample(tasks, 60, 1) == tasks


def hole(prefix, middle, suffix):
    return infilling.Task("t", "p", "f", prefix, middle, suffix, "")


LINE = hole("def f(x):\n", "    y = x", "\n    return y\n")
LAST = hole("def f(x):\n    y = x\n", "    return y", "\n")
REST = hole("print(", "a, b", ", sep='')\n")


@pytest.mark.parametrize(
    ("task", "completion", "expected"),
    [
        (LINE, "    y = x", None),
        (LINE, "    y = x  \n\n", None),
        (LINE, "    y = x + 1", None),  # wrong, but it ends where the hole ends
        (LINE, "    z = x\n    y = z", None),  # longer, but at its place
        (LINE, "", None),
        (LINE, "    y = x\n    y += 1", "goes_on"),
        (LINE, "    y = 2\n    return y", "repeats_suffix"),
        (LINE, "    y = 2\n\ndef g():", "leaves_block"),
        (LAST, "    return 1\n\n\nprint(f(1))", "leaves_block"),
        (LAST, "    if y:\n        return y", None),
        (REST, "a", None),
        (REST, "a, b, c", "goes_on"),
        (REST, "b, sep='')", "repeats_suffix"),
        (REST, "b\n)", "leaves_block"),
    ],
)
def test_what_overruns(task, completion, expected):
    assert infilling.overrun(task, completion, endless=False) == expected
    endless = "endless" if expected is None and completion.rstrip() != task.middle else expected
    assert infilling.overrun(task, completion, endless=True) == endless


def test_a_line_that_the_middle_has_as_well_is_not_repeated_from_the_suffix():
    task = hole("def f(x):\n", "    go()\n    go()", "\n    go()\n")
    assert infilling.overrun(task, "    x = 1\n    go()", endless=False) is None


def test_the_ceiling_of_the_trim_rules_is_seen():
    assert infilling.trim_keeps(LINE)
    assert infilling.trim_keeps(hole("def f(x):\n", "    a = 1\n\n    return 2", "\n"))
    repeated = hole("def f(x):\n", "    a = 1\n    return 2", "\n    return 2\n")
    assert not infilling.trim_keeps(repeated)


def test_a_first_line_is_what_left_to_right_models_are_measured_by():
    assert infilling.first_line("    y = x\n    more\n") == "    y = x"


def test_the_endless_are_those_that_no_rule_cut_and_that_had_room():
    def answer(**changed):
        facts = {"finish": "length", "rule": None, "fits": True, **changed}
        return figures.Answer(LINE, "    y = 0", "    y = 0", **facts).overrun

    assert answer() == "endless"
    assert answer(finish="stop") is answer(rule="after_line") is answer(fits=False) is None


def test_an_interval_holds_the_mean_and_resamples_problems():
    values, problems = [100.0, 100.0, 0.0, 0.0] * 5, [f"p{i // 2}" for i in range(20)]
    found = figures.interval(values, problems, 0)
    assert found["value"] == 50 and 0 < found["low"] < 50 < found["high"] < 100
    apart = figures.interval(values, [f"p{i}" for i in range(20)], 0)
    assert found["high"] - found["low"] > apart["high"] - apart["low"]
    assert figures.interval([100.0], ["p"], 0) == {"value": 100, "low": None, "high": None}


# Prompts and models


@pytest.fixture(scope="module", params=[False, True], ids=["left-to-right", "fim"])
def folder(request, tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("tiny"), fim=request.param)


def test_prompts_show_the_suffix_to_models_with_fim_only_and_only_if_asked(folder):
    tokenizer = TextTokenizer.load(folder)
    task = infilling.make_task(ROWS[0])
    as_taught = quality.render(tokenizer, task, left_to_right=False)
    hidden = quality.render(tokenizer, task, left_to_right=True)
    assert hidden.prompt.mode == "left-to-right"
    assert tokenizer.decode(list(hidden.prompt_ids)).endswith(f"double.py\n{HEAD}")
    assert as_taught.suffix == hidden.suffix == task.suffix  # for the trim rules
    assert as_taught.middle == hidden.middle == task.middle
    if tokenizer.fim:
        assert as_taught.prompt.mode == "psm"
        assert task.suffix in tokenizer.decode(list(as_taught.prompt_ids))
        assert hidden.around.suffix == ""  # nor may it be copied from
    else:
        assert replace(as_taught, around=None) == replace(hidden, around=None)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = save_tiny(tmp_path_factory.mktemp("plain"))
    return load_model(folder, dtype=torch.float32), TextTokenizer.load(folder)


def examples(tokenizer, count=12):
    data = (CODE * 3).encode()
    cuts = [
        cut_blob(data, Hole("c", "b", "m.py", s, s + 5 + s % 7, "line", "", 0, "python"))
        for s in range(20, 20 + 29 * count, 29)
    ]
    return [make_example(tokenizer, cut, (), Budget(300, 0, 0)) for cut in cuts]


def collected(tiny, found, **options):
    made = {}
    scores = evaluate(*tiny, found, max_tokens=16, collect=made.__setitem__, **options)
    return scores, [made[i] for i in range(len(found))]


def test_writing_on_behind_a_trim_rule_changes_no_answer(tiny):
    found = examples(tiny[1])
    early_scores, early = collected(tiny, found)
    whole_scores, whole = collected(tiny, found, stop_early=False)
    assert [c.text for c in early] == [c.text for c in whole]
    assert [s.em for s in early_scores] == [s.em for s in whole_scores]
    assert all(w.written.startswith(e.written) for e, w in zip(early, whole, strict=True))
    assert {c.finish for c in whole} <= {"stop", "length"}
    assert any(c.finish == "trimmed" and c.rule for c in early)
    assert sum(c.tokens for c in early) < sum(c.tokens for c in whole)
    assert all(c.tokens == 16 for c in whole if c.finish == "length")


def test_a_healed_prompt_lacks_its_last_token_and_the_completion_begins_with_it(tiny):
    model, tokenizer = tiny
    found = examples(tokenizer)
    _, made = collected(tiny, found, healing=True, stop_early=False)
    changed = 0
    for example, completion in zip(found, made, strict=True):
        healed, lead = heal(tokenizer, example)
        if not lead:  # behind an operator or a bracket no longer token begins
            assert healed is example and not re.search(r"[\w\s\"'`]\Z", example.prefix)
            continue
        assert healed.prompt_ids == example.prompt_ids[:-1]
        assert tokenizer.decode(list(healed.middle_ids)) == lead + example.middle
        assert healed.open_tokens == example.open_tokens - 1
        assert lead + completion.written == constrained(model, tokenizer, healed, lead)
        changed += completion.written != collected_plain(tiny, example)
    assert changed  # else nothing was healed


def constrained(model, tokenizer, example, lead):
    """One by one, the best token of those that keep to the lead."""
    ids, text = list(example.prompt_ids), ""
    for _ in range(16):
        with torch.inference_mode():
            order = model(torch.tensor([ids])).logits[0, -1].argsort(descending=True).tolist()
        if len(text) < len(lead):
            rest = lead[len(text) :]
            spelt = ((i, tokenizer.decode([i])) for i in order)
            token = next(i for i, t in spelt if t and (t.startswith(rest) or rest.startswith(t)))
        else:
            token = order[0]
        if token in tokenizer.end_ids:
            break
        ids.append(token)
        text = tokenizer.decode(ids[len(example.prompt_ids) :])
    return text.removesuffix("�")


def collected_plain(tiny, example):
    return collected(tiny, [example], stop_early=False)[1][0].written


def test_a_prompt_that_ends_with_a_control_token_is_not_healed(tmp_path):
    tokenizer = TextTokenizer.load(save_tiny(tmp_path, fim=True))
    example = quality.render(tokenizer, infilling.make_task(ROWS[0]), left_to_right=False)
    assert heal(tokenizer, example) == (example, "")


# The whole


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in infilling.FILES.values():
        with gzip.open(folder / name, "wt", encoding="utf-8") as file:
            file.writelines(f"{json.dumps(r)}\n" for r in ROWS)
    return folder


def run(capsys, *arguments):
    code = quality.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_bench_gives_every_figure(folder, data, capsys, tmp_path):
    record = tmp_path / "completions.jsonl"
    code, out, _ = run(
        capsys, "--json", "--no-trim", "--data", data, "--model", folder, "--max-tokens", 8,
        "--completions", record,
    )  # fmt: skip
    assert code == 0
    result = json.loads(out)
    assert result["bench"] == "quality" and result["machine"]["cpus"]
    assert len(result["commit"]) in (0, 40)
    assert list(result["subsets"]) == ["single-line", "multi-line", "random-span"]
    single = result["subsets"]["single-line"]
    assert (single["holes"], single["problems"], single["of"]) == (3, 2, 3)
    assert single["bits_per_byte"] > 0 and single["tokens"] > 0 and "em_first_line" in single
    for arm in (single, single["without_trim"]):
        assert arm["em"]["low"] <= arm["em"]["value"] <= arm["em"]["high"]
        assert {"es", "pass_at_1", "overrun", "overrun_by", "more_lines", "empty"} <= set(arm)
    rows = [json.loads(line) for line in record.read_text().splitlines()]
    assert len(rows) == 9 and {r["subset"] for r in rows} == set(result["subsets"])
    assert "without_trim" in rows[0] and rows[0]["task"] == ROWS[0]["task_id"]


def test_the_right_answers_are_right(tiny):
    tasks = [infilling.make_task(r) for r in ROWS]
    answers = [figures.Answer(t, t.middle, t.middle + "\n", "stop", None, True) for t in tasks]
    found, rows = figures.judge(answers, 0, lambda *_: None, first_lines=True)
    assert found["em"]["value"] == found["em_first_line"]["value"] == found["es"] == 100
    assert found["pass_at_1"]["value"] == 100 and found["overrun"] == 0
    assert [r["tests"] for r in rows] == ["passed"] * 3
    wrong = [figures.Answer(t, "    return None", "", "stop", None, True) for t in tasks]
    found, _ = figures.judge(wrong, 0, lambda *_: None, first_lines=False)
    assert found["em"]["value"] == found["pass_at_1"]["value"] == 0


def test_an_adapter_is_merged_and_the_table_is_plain(folder, data, capsys, tmp_path):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        load_model(folder), LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    )
    model.save_pretrained(tmp_path / "adapter")
    common = ("--data", data, "--model", folder, "--subset", "single-line", "--max-tokens", 4)
    bits = []
    for options in ((), ("--adapter", tmp_path / "adapter")):
        code, out, _ = run(capsys, *common, "--json", *options)
        bits.append(json.loads(out)["subsets"]["single-line"]["bits_per_byte"])
        assert code == 0
    assert bits[0] != bits[1]
    code, out, err = run(capsys, *common, "--left-to-right", "--heal", "--no-trim")
    assert code == 0 and err == ""
    assert "single-line, left-to-right" in out and "without trim" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--model", "no-such-model"), "there is no model"),
        (("--data", "nowhere"), "take it from openai/human-eval-infilling"),
        (("--adapter", "nowhere"), "the adapter nowhere cannot be loaded"),
        (("--max-tokens", 4000), "the model takes 2048 tokens"),
    ],
)
def test_what_is_missing_is_one_line(arguments, says, folder, data, capsys):
    code, out, err = run(capsys, "--data", data, "--model", folder, "--limit", 1, *arguments)
    assert (code, out) == (1, "")
    assert says in err and err.count("\n") == 1
