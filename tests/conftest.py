"""Options of the whole suite: `--bless` rewrites golden files, `--long` runs what takes minutes.

Two workers share the suite by file; what starts networks stays together, for it shares one devnet,
ports and patience.
"""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite the golden files")
    parser.addoption("--long", action="store_true", help="also run the drills that take minutes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(config.rootpath).parts
        is_network = place[1] in ("e2e", "examples")
        item.add_marker(pytest.mark.xdist_group("networks" if is_network else "/".join(place)))
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes minutes; run with --long (make e2e, make drills)")
    for item in items:
        if item.get_closest_marker("slow") or item.get_closest_marker("javascript"):
            item.add_marker(skip)


@pytest.fixture
def bless(request: pytest.FixtureRequest) -> bool:
    """True when golden files are to be rewritten instead of compared."""
    return bool(request.config.getoption("--bless"))
