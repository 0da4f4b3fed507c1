"""Fits how sure a model's proposals are: ``python bench/seed/confidence.py FILE… [--write COPYING.JSON]``.

The files are those that ``bench/places.py --completions FILE`` writes: every proposal of every place
with its cost and its verdict. A logistic function (git_copilot.assistant.decoding.confidence) is
fitted to whether a proposal is acceptable, with a weak penalty for large weights. For each
threshold the table shows what would have been shown, with weights that were fitted without the
repository of the place.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from git_copilot.assistant.decoding.confidence import ConfidenceWeights, LineCost, features

PENALTY = 1.0
THRESHOLDS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
Values = NDArray[np.float64]


def fit(x: Values, y: Values) -> Values:
    """The weights (features,) of ``x`` (proposals, features) for ``y`` (proposals,)."""

    def loss(weights: Values) -> tuple[float, Values]:
        p = 1 / (1 + np.exp(-(x @ weights)))
        likelihood = y * np.log(p + 1e-9) + (1 - y) * np.log(1 - p + 1e-9)
        penalised = np.r_[0.0, weights[1:]]
        value = -likelihood.sum() + PENALTY * float((penalised**2).sum()) / 2
        return value, x.T @ (p - y) + PENALTY * penalised

    found: Values = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    return found


def read(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The places of some files."""
    places = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
    for place in places:  # what was cut off by the number of tokens may have no cost
        place["proposals"] = [p for p in place["proposals"] if p["nats"] is not None]
    return places


def features_of(proposal: dict[str, Any]) -> tuple[float, ...]:
    cost = LineCost(proposal["nats"], proposal["tokens"])
    lines = proposal["text"].strip("\n").count("\n") + 1
    return features(cost, lines=lines, alternative=proposal["alternative"])


def table(places: Sequence[dict[str, Any]]) -> str:
    """What each threshold shows, with weights from the other repositories."""
    chosen: list[tuple[float, dict[str, Any]]] = []
    for name in sorted({place["repository"] for place in places}):
        others = [p for place in places if place["repository"] != name for p in place["proposals"]]
        weights = fit(
            np.array([features_of(p) for p in others]),
            np.array([p["acceptable"] for p in others], float),
        )
        for place in places:
            if place["repository"] == name and place["proposals"]:
                rated = [
                    (float(1 / (1 + np.exp(-np.dot(features_of(p), weights)))), p)
                    for p in place["proposals"]
                ]
                sound = [pair for pair in rated if not pair[1]["faults"]]
                if sound:
                    chosen.append(
                        max(
                            sound,
                            key=lambda pair: pair[0] * math.sqrt(len(pair[1]["text"].strip())),
                        )
                    )
    lines = [f"{'threshold':>9}{'shown':>8}{'acceptable':>12}{'exact':>8}{'harmful':>9}"]
    for threshold in THRESHOLDS:
        shown = [p for confidence, p in chosen if confidence >= threshold]
        if shown:
            shares = (
                100 * np.mean([bool(p[key]) for p in shown])
                for key in ("acceptable", "exact", "harm")
            )
            lines.append(f"{threshold:>9}{len(shown):>8}" + "".join(f"{s:>10.1f}" for s in shares))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--write", type=Path, help="put the weights into this copying.json")
    options = parser.parse_args()
    places = read(options.files)
    proposals = [p for place in places for p in place["proposals"]]
    weights = fit(
        np.array([features_of(p) for p in proposals]),
        np.array([p["acceptable"] for p in proposals], float),
    )
    names = [field.name for field in fields(ConfidenceWeights)]
    found = dict(zip(names, (round(float(w), 4) for w in weights), strict=True))
    print(f"{len(places)} places, {len(proposals)} proposals\n{json.dumps(found)}\n{table(places)}")
    if options.write:
        facts = json.loads(options.write.read_text("utf-8"))
        options.write.write_text(
            json.dumps({**facts, "confidence": found}, indent=1) + "\n", "utf-8"
        )


if __name__ == "__main__":
    main()
