"""What tests of drivers share."""

import os

import pytest

from tests.support.loops import work_on_the_loop


@pytest.fixture
def _on_the_loop(monkeypatch):
    """The disk is trusted to be there at the end of a test, which spares thousands of syncs."""
    work_on_the_loop(monkeypatch)
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: None)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
