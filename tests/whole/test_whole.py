"""A few schedules of whole nodes, and the planted bugs as they lie: `make sim` runs them all."""

import pytest

from tests.whole.planted import list_cases
from tests.whole.run import play_seed

CASES = list_cases()


@pytest.mark.parametrize("seed", [1, 2])
def test_whole_nodes_agree_under_faults_and_go_on_when_they_end(seed: int) -> None:
    result = play_seed(seed)
    assert result.violation is None
    assert result.height >= 3
