"""THE LIST: every target by its name."""

from tests.fuzz import consensus_targets, file_targets, network_targets, rpc_targets, wallet_targets
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for group in (
        consensus_targets,
        network_targets,
        rpc_targets,
        file_targets,
        wallet_targets,
    )
    for target in group.TARGETS
}
