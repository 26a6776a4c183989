"""Every network here lives on a clock that jumps."""

import pytest

from tests.support.loops import work_on_the_loop


@pytest.fixture(autouse=True)
def _work_on_the_loop(monkeypatch):
    work_on_the_loop(monkeypatch)
