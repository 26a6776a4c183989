"""Chains whose first state has a version scheduled already, for tests that need no vote."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import chain.genesis
from chain.releases import Releases, load_drill
from ext import store
from runtime.genesis import Genesis, build_genesis
from runtime.spec import ChainSpec
from runtime.system import ScheduledVersion, System

DRILL_DIRECTORY = Path(__file__).parent / "drill_rules"
"""Where version 2 is that drills upgrade to."""

HEIGHT = 5
"""The first block under version 2."""


def drill() -> Releases:
    """A release that has version 2."""
    return load_drill(DRILL_DIRECTORY)


def begin_scheduled(monkeypatch: pytest.MonkeyPatch, content_hash: bytes | None = None) -> None:
    """Let every genesis made from now on say that version 2 begins at HEIGHT."""
    if content_hash is None:
        content_hash = drill().content_hash(drill().table.newest)
    item = next(item for item in System.items if item.name == "ScheduledVersion")
    value = item.value.encode(ScheduledVersion(2, content_hash, HEIGHT))

    def build(spec: ChainSpec) -> Genesis:
        genesis = build_genesis(spec)
        entries: tuple[Any, ...] = tuple(sorted([*genesis.entries, (item.prefix, value)]))
        return replace(genesis, entries=entries, state_root=store.State.from_entries(entries).root)

    monkeypatch.setattr(chain.genesis, "build_genesis", build)
