"""Answers of the service, and their JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from git_copilot.assistant.api.json_types import (
        CompletionJson,
        ExplanationJson,
        HitJson,
        IndexJson,
        ProposalJson,
        SearchJson,
        SnippetJson,
        WholeLineJson,
    )
    from git_copilot.index.core.types import Hit

OUT_OF_TIME = "nothing was written within the time limit"


@dataclass(frozen=True, slots=True)
class IndexState:
    """The tree that the index stands for, and whether that is all of the worktree."""

    tree: str
    fresh: bool

    def to_json(self) -> IndexJson:
        return {"tree": self.tree, "fresh": self.fresh}


@dataclass(frozen=True, slots=True)
class Timings:
    """How long the parts of a completion took, in milliseconds."""

    retrieve: float
    prefill: float
    decode: float
    total: float


class ProposalCost(Protocol):
    """The nats and the number of the tokens of a text."""

    @property
    def nats(self) -> float: ...
    @property
    def tokens(self) -> int: ...


class ConsideredProposal(Protocol):
    """A text that could have been shown: see
    :class:`~git_copilot.assistant.completion.choice.Proposal`."""

    @property
    def text(self) -> str: ...
    @property
    def cost(self) -> ProposalCost | None: ...
    @property
    def alternative(self) -> bool: ...
    @property
    def confidence(self) -> float | None: ...
    @property
    def faults(self) -> tuple[str, ...] | None: ...


@dataclass(frozen=True, slots=True)
class CompletionExplanation:
    """How a completion came about.

    ``found`` chunks were found; ``prompt_budget`` are the tokens that the prompt may have, and
    those of the settings: fewer where more would not be read within ``copilot.latencyMs``, for
    which ``left_out`` tokens were left out.
    ``mode`` is the prompt's form; ``healed`` the text before the cursor that the model wrote
    again; ``trim_rule`` the rule that cut the text. ``out_of_time``: the time limit ended it, not
    the number of tokens. ``copied``: tokens that the model alone would not have written, by the
    file that they come from. ``tried`` tokens were read for likelier lines; ``instead_of`` is the
    greedy line where one was found. ``prompt`` is spelt with its control tokens. ``proposals`` are
    all texts that could have been shown, the most useful first.
    """

    found: int
    seed: int
    prompt_budget: tuple[int, int]
    left_out: int
    mode: str
    healed: str
    trim_rule: str | None
    out_of_time: bool
    copied: Mapping[str, int]
    tried: int
    instead_of: str | None
    prompt: str
    proposals: tuple[ConsideredProposal, ...] = ()

    def to_json(self) -> ExplanationJson:
        return {
            "found": self.found,
            "seed": self.seed,
            "prompt_budget": list(self.prompt_budget),
            "left_out": self.left_out,
            "mode": self.mode,
            "healed": self.healed,
            "trim_rule": self.trim_rule,
            "out_of_time": self.out_of_time,
            "copied": dict(self.copied),
            "tried": self.tried,
            "instead_of": self.instead_of,
            "prompt": self.prompt,
            "proposals": [proposal_json(each) for each in self.proposals],
        }


@dataclass(frozen=True, slots=True)
class WholeLine:
    """A completion that goes on behind the closers right of the cursor: it takes the place of
    ``replaces`` characters there."""

    completion: str
    replaces: int

    def to_json(self) -> WholeLineJson:
        return {"completion": self.completion, "replaces": self.replaces}


@dataclass(frozen=True, slots=True)
class CompleteAnswer:
    """A completion and where it came from.

    ``candidates`` are all that differ, the completion first; ``confidences`` are theirs, ``None`` for
    those that were sampled. They are inserted at the cursor and
    leave what stands behind it as it is; ``whole_line`` is another form of the completion for an
    editor that can replace. ``snippets`` are hits with the tokens that each takes in the prompt;
    ``finish_reason`` is ``"stop"``, ``"length"`` or ``"trimmed"``.
    """

    id: str
    candidates: tuple[str, ...]
    file: str
    line: int
    column: int
    model: str
    adapter: str | None
    index: IndexState
    snippets: tuple[tuple[Hit, int], ...]
    prompt_tokens: int
    finish_reason: str
    cached_tokens: int
    completion_tokens: int
    timings: Timings
    explanation: CompletionExplanation
    whole_line: WholeLine | None = None
    confidence: float | None = None
    confidences: tuple[float | None, ...] = ()
    silenced: str | None = None  # why what was written is not shown
    from_cache: bool = False  # the rest of an earlier answer, or that answer again
    several: bool = False  # more than one candidate was asked for

    @property
    def completion(self) -> str:
        return self.candidates[0]

    @property
    def why_empty(self) -> str | None:
        """Why there is nothing to show, for a person; ``None`` where there is, or where that was
        told when the time ran out."""
        if self.completion.strip() or self.explanation.out_of_time:
            return None
        if self.silenced:
            return self.silenced
        if self.completion:
            return "the model wrote white space only"
        if self.whole_line is not None:
            return "nothing belongs between the brackets or quotes at the cursor"
        if self.explanation.trim_rule:
            return f"the rule {self.explanation.trim_rule} cut all that the model wrote"
        if self.finish_reason == "stop":
            return "the model had nothing to add"
        return f"finish_reason is {self.finish_reason}"

    def to_json(self, *, explain: bool = False) -> CompletionJson:
        """The JSON of the contract; ``explain`` adds the explanation."""
        times = self.timings
        fields: CompletionJson = {
            "id": self.id,
            "completion": self.completion,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "model": self.model,
            "adapter": self.adapter,
            "index": self.index.to_json(),
            "snippets": [snippet_json(hit, tokens) for hit, tokens in self.snippets],
            "prompt_tokens": self.prompt_tokens,
            "finish_reason": self.finish_reason,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "confidence": _rounded(self.confidence),
            "timings_ms": {
                "retrieve": round(times.retrieve, 1),
                "prefill": round(times.prefill, 1),
                "decode": round(times.decode, 1),
                "total": round(times.total, 1),
            },
        }
        if self.from_cache:
            fields["from_cache"] = True
        if self.whole_line is not None:
            fields["whole_line"] = self.whole_line.to_json()
        if not self.completion.strip():
            fields["reason"] = self.why_empty or OUT_OF_TIME
        if self.several:
            fields["candidates"] = list(self.candidates)
            fields["confidences"] = [_rounded(each) for each in self.confidences]
        if explain:
            fields["explain"] = self.explanation.to_json()
        return fields


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 3)


@dataclass(frozen=True, slots=True)
class FillAnswer:
    """A completion between two texts; ``root`` is the top of the worktree that they belong to."""

    answer: CompleteAnswer
    root: Path | None


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """What a search found, best first. ``root`` is the top of the worktree, which the paths are
    relative to (``None``: a bare repository)."""

    hits: tuple[Hit, ...]
    index: IndexState
    root: Path | None

    def to_json(self) -> SearchJson:
        return {"hits": [hit_json(hit) for hit in self.hits], "index": self.index.to_json()}


@dataclass(frozen=True, slots=True)
class FeedbackAnswer:
    """An outcome that was recorded, of a completion in the file ``path``; without a path it was
    not recorded, because nothing can be written."""

    id: str
    outcome: str
    path: str | None

    def to_json(self) -> dict[str, str | None]:
        return {"id": self.id, "outcome": self.outcome, "path": self.path}


def proposal_json(proposal: ConsideredProposal) -> ProposalJson:
    """A proposal; ``faults`` is ``None`` where the rules were not applied."""
    cost, faults = proposal.cost, proposal.faults
    return {
        "text": proposal.text,
        "confidence": None if proposal.confidence is None else round(proposal.confidence, 3),
        "faults": None if faults is None else list(faults),
        "nats": None if cost is None else round(cost.nats, 2),
        "tokens": None if cost is None else cost.tokens,
        "alternative": proposal.alternative,
    }


def hit_json(hit: Hit) -> HitJson:
    """A hit without its text."""
    return {
        "path": hit.path,
        "blob": hit.blob,
        "start_line": hit.start_line,
        "end_line": hit.end_line,
        "score": round(hit.score, 5),
        "sources": list(hit.sources),
    }


def snippet_json(hit: Hit, tokens: int) -> SnippetJson:
    """A hit that takes ``tokens`` of the prompt."""
    return {**hit_json(hit), "tokens": tokens}
