"""bench/quality.py: prompts and completions are correct, and every metric is reported."""

from __future__ import annotations

import gzip
import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from git_copilot.assistant.backend.loading import load_model
from git_copilot.assistant.dataset.cuts import cut_blob
from git_copilot.assistant.dataset.examples import make_example
from git_copilot.assistant.decoding.sampling import PrefixIndex
from git_copilot.assistant.evaluation.healed_examples import heal
from git_copilot.assistant.evaluation.scorer import ScoringOptions, evaluate
from git_copilot.assistant.prompt.builder import Budget
from git_copilot.assistant.prompt.tokenizer import TextTokenizer
from git_copilot.index.core.types import Hole
from tests.support.humaneval import HEAD, ROWS
from tests.support.tiny_models import CODE, save_tiny

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(BENCH))
    figures, infilling, quality = (
        importlib.import_module(name) for name in ("figures", "infilling", "quality")
    )


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
        assert hidden.copy_context.suffix == ""  # nor may it be copied from
    else:
        assert replace(as_taught, copy_context=None) == replace(hidden, copy_context=None)


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
    chosen = ScoringOptions(max_tokens=16, collect=made.__setitem__, **options)
    scores = evaluate(*tiny, found, chosen)
    return scores, [made[i] for i in range(len(found))]


def test_generating_past_a_trim_rule_does_not_change_the_answer(tiny):
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
        begun = bool(example.prompt.forced_prefix)  # half a word is left out of the prompt anyway
        assert healed.prompt_ids == (example.prompt_ids if begun else example.prompt_ids[:-1])
        assert tokenizer.decode(list(healed.middle_ids)) == lead + example.middle
        assert healed.open_tokens == example.open_tokens - (not begun)
        assert lead + completion.written == constrained(model, tokenizer, healed, lead)
        changed += completion.written != collected_plain(tiny, example)
    assert changed  # else nothing was healed


def constrained(model, tokenizer, example, lead):
    """Token by token, the most likely of those that write the prefix as the tokenizer would."""
    ids, text, fits = list(example.prompt_ids), "", PrefixIndex(tokenizer).tokens_for
    for _ in range(16):
        with torch.inference_mode():
            order = model(torch.tensor([ids])).logits[0, -1].argsort(descending=True).tolist()
        if len(text) < len(lead):
            allowed = fits(lead[len(text) :], len(order)).tolist()
            token = next(i for i in order if i in allowed)
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


@pytest.mark.slow
def test_the_bench_reports_every_metric(folder, data, capsys, tmp_path):
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


def test_the_reference_solutions_pass(tiny):
    tasks = [infilling.make_task(r) for r in ROWS]
    answers = [figures.Answer(t, t.middle, t.middle + "\n", "stop", None, True) for t in tasks]
    found, rows = figures.judge(answers, 0, lambda *_: None, first_lines=True)
    assert found["em"]["value"] == found["em_first_line"]["value"] == found["es"] == 100
    assert found["pass_at_1"]["value"] == 100 and found["overrun"] == 0
    assert [r["tests"] for r in rows] == ["passed"] * 3
    wrong = [figures.Answer(t, "    return None", "", "stop", None, True) for t in tasks]
    found, _ = figures.judge(wrong, 0, lambda *_: None, first_lines=False)
    assert found["em"]["value"] == found["pass_at_1"]["value"] == 0


@pytest.mark.slow
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
        (("--model", "no-such-model"), "unknown model"),
        (("--data", "nowhere"), "take it from openai/human-eval-infilling"),
        (("--adapter", "nowhere"), "the adapter nowhere cannot be loaded"),
        (("--max-tokens", 4000), "the model takes 2048 tokens"),
    ],
)
def test_missing_inputs_are_one_line_errors(arguments, says, folder, data, capsys):
    code, out, err = run(capsys, "--data", data, "--model", folder, "--limit", 1, *arguments)
    assert (code, out) == (1, "")
    assert says in err and err.count("\n") == 1
