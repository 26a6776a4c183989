"""The histories written by hand, played by the real code."""

import pytest

from tests.simulation.parts import load_parts
from tests.simulation.scripts import SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_machine_plays_the_script(name: str) -> None:
    SCRIPTS[name](load_parts())
