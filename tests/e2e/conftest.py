"""One devnet for all short end-to-end tests; drills that break things start their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.devnet import DevnetUnderTest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="package")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevnetUnderTest]:
    """Four validators, two nominators and a full node with blocks every 250 ms.

    It is gone before other tests begin.
    """
    home = tmp_path_factory.mktemp("devnet")
    net = DevnetUnderTest(home, "--interval-ms", "250", "--nominators", "2")
    try:
        net.up()
        yield net
    finally:
        net.remove()


@pytest.fixture
def own_devnet(tmp_path: Path) -> Iterator[Callable[..., DevnetUnderTest]]:
    """Make devnets that a drill may break; all are stopped at its end."""
    made: list[DevnetUnderTest] = []

    def make(*options: str) -> DevnetUnderTest:
        home = tmp_path / f"net{len(made)}"
        home.mkdir()
        made.append(DevnetUnderTest(home, *options))
        made[-1].up()
        return made[-1]

    yield make
    for net in made:
        net.remove()
