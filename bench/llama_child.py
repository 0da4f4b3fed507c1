"""llama.cpp for bench/engine.py, in a process (and an environment) of its own.

One JSON request a line on standard input, ``{"form": "Q4_1", "reset": bool, "prompt": [ids],
"tokens": n, "line": n}``; one answer a line: the ids, and the seconds until the first, until that
many (or all, where they are fewer) and until the last.
What the prompt has in common with the one before is not read again.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from pathlib import Path

import llama_cpp
import numpy as np

# Values of llama_ftype.
FORMS = {"F16": 1, "Q8_0": 7}


def convert(source: Path, target: Path, form: str) -> None:
    """The same weights in another form: those of Q4_1, multiplied out."""
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.allow_requantize = FORMS[form], True
    code = llama_cpp.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(settings)
    )
    if code:
        raise SystemExit(f"{source} cannot be converted ({code})")


def without_repacking() -> None:
    """Leave weights as they lie: 0.3.36 crashes on Q4_1 where the processor has AMX, and has no
    other layout for that form anyway."""
    library = llama_cpp.llama_cpp
    defaults = library.llama_model_default_params

    def plain() -> object:
        settings = defaults()
        settings.use_extra_bufts = False
        return settings

    library.llama_model_default_params = llama_cpp.llama_model_default_params = plain


def main() -> None:
    without_repacking()
    source, threads = Path(sys.argv[1]), int(sys.argv[2])
    files = {"Q4_1": source}
    for form in FORMS:
        files[form] = Path(sys.argv[3]) / f"{form}.gguf"
        convert(source, files[form], form)
    models = {
        form: llama_cpp.Llama(
            str(path), n_ctx=4096, n_batch=512, n_threads=threads, n_threads_batch=threads,
            verbose=False,
        )
        for form, path in files.items()
    }  # fmt: skip
    print(json.dumps({"version": llama_cpp.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(models[request["form"]], request)), flush=True)


def answer(model: llama_cpp.Llama, request: dict) -> dict:
    begun = time.perf_counter()
    prompt = request["prompt"]
    known = 0 if request["reset"] else shared(model.input_ids[: model.n_tokens].tolist(), prompt)
    known = min(known, len(prompt) - 1)
    model.n_tokens = known
    model.eval(prompt[known:])
    ids, moments = [], []
    while True:
        ids.append(int(np.argmax(last_logits(model))))
        moments.append(time.perf_counter() - begun)
        if len(ids) == request["tokens"]:
            line = moments[min(request["line"], len(ids)) - 1]
            return {"ids": ids, "first": moments[0], "line": line, "total": moments[-1]}
        model.eval(ids[-1:])


def last_logits(model: llama_cpp.Llama) -> np.ndarray:
    found = llama_cpp.llama_get_logits(model.ctx)
    return np.ctypeslib.as_array(found, shape=(model.n_vocab(),))


def shared(ours: list[int], theirs: list[int]) -> int:
    count = 0
    for a, b in zip(ours, theirs, strict=False):
        if a != b:
            break
        count += 1
    return count


if __name__ == "__main__":
    main()
