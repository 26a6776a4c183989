"""`gristmill audit`: replay every block in a process of its own; exit 0 clean, 1 mismatch."""

from chain.cli.lazy import LazyGroup, Place

audit = LazyGroup(
    "audit",
    places={
        "replay": Place("chain.cli.audit_run:replay", "Execute stored blocks again and compare."),
        "emission": Place(
            "chain.cli.audit_emission:emission", "Prove each era's mints by the schedule."
        ),
        "job": Place("chain.cli.audit_job:job", "Follow a job: states, waterfall, cheating."),
        "slashes": Place("chain.cli.audit_run:slashes", "List every slash and who paid."),
        "supply": Place("chain.cli.audit_run:supply", "Prove the issuance by cause."),
    },
    help="Replay blocks and prove the supply.",
)
