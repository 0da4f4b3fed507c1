"""The ledger: every adapter that is known on this machine, in its folder or only as a ref."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from git_copilot.assistant.adapters import adapter_store
from git_copilot.assistant.adapters.folder_adapters import folders
from git_copilot.assistant.adapters.record import AdapterRecord
from git_copilot.assistant.sharing.adapter_commits import (
    AdapterRef,
    all_remote_refs,
    is_adapter_id,
    local_refs,
)
from git_copilot.assistant.sharing.exchange import describe
from git_copilot.index.git.repository import GitRepository

IN_USE, USED, INSTALLED, REF_ONLY = "in use", "used before", "installed", "only as a ref"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An adapter, what became of it here, and whether it is shared: ``ref`` tells that this user
    made a commit of it or took one over, ``remotes`` which remotes had it when last asked."""

    record: AdapterRecord
    state: str
    ref: bool
    remotes: tuple[str, ...]

    @property
    def span(self) -> str:
        """The oldest and the newest commit that it learnt from or was judged by; empty where its
        report does not say."""
        spans = self.record.commits or {}
        ends = [span for name in ("train", "held_out") if (span := spans.get(name))]
        return f"{ends[0][0][:10]}..{ends[-1][-1][:10]}" if ends else ""

    def to_json(self) -> dict[str, Any]:
        return {
            **self.record.to_json(),
            "state": self.state,
            "ref": self.ref,
            "remotes": list(self.remotes),
        }


def read_ledger(repo: GitRepository) -> list[LedgerEntry]:
    """All adapters that are known, oldest first.

    :raises GitError: git cannot list the refs.
    """
    state = repo.state_dir
    records = {record.id: record for record in adapter_store.list_adapters(state)}
    here, past = set(records), set(adapter_store.history(state))
    serving = set(folders(state).values())
    own = {each.id: each for each in local_refs(repo) if is_adapter_id(each.id)}
    remotes: dict[str, list[AdapterRef]] = {}
    for each in all_remote_refs(repo):
        remotes.setdefault(each.id, []).append(each)
    elsewhere = {name: found[0] for name, found in remotes.items()} | own
    missing = [each for name, each in elsewhere.items() if name not in here]
    records |= {row.record.id: row.record for row in describe(repo, missing)}
    entries = []
    for name, record in sorted(records.items()):
        if record.current or name in serving:
            told = IN_USE
        elif name not in here:
            told = REF_ONLY
        else:
            told = USED if name in past else INSTALLED
        names = sorted(each.remote for each in remotes.get(name, ()) if each.remote)
        entries.append(LedgerEntry(record, told, name in own, tuple(names)))
    return entries
