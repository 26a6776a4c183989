"""Calls with a deadline that others lose by are urgent: a crowded block has room for them."""

from runtime.frame.call import DispatchClass
from runtime.runtime import Runtime

URGENT = {
    "Datasets": {"match", "open_leaves", "prove", "report_miss"},
    "Disputes": {
        "answer", "appeal", "cast_ballot", "challenge", "prove", "reply", "reveal_ballot",
        "time_out",
    },
    "Jobs": {
        "close_part", "complete", "heartbeat", "post_receipt", "report_conflict", "reveal_bid",
    },
    "Verification": {"commit", "disclose", "disclose_replica", "reveal"},
}  # fmt: skip


def test_what_answers_reveals_beats_and_proves_is_urgent_and_nothing_else() -> None:
    found: dict[str, set[str]] = {}
    for module in Runtime().modules:
        for info in module.calls:
            if info.dispatch_class is DispatchClass.OPERATIONAL:
                found.setdefault(module.name, set()).add(info.name)
    assert found == URGENT
