"""`python -m bench [--quick]`: every performance goal as figure, goal, and pass or miss.

What is compared takes turns in one process, nine times or more; the least is the figure and the
median stands beside it. V is the verification of the same signatures by libsodium on the same
cores in the same run. Results and growth curves are written under bench/out.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bench import clock, machine
from bench.admission import measure_admission
from bench.curves import write_svg
from bench.eras import measure_eras
from bench.finding import FULL, QUICK, Finding, Scale, say
from bench.importing import (
    import_cost,
    measure_calls,
    measure_commit,
    measure_import,
    measure_replay,
)
from bench.market import measure_market
from bench.merkle import (
    measure_hashes,
    measure_memory,
    measure_proofs,
    measure_roots,
    measure_start,
    timed_root,
)
from bench.world import World

OUT = Path(__file__).parent / "out"
DEVNET = OUT / "devnet.json"
"""Where `bench.devnet` leaves its report."""

Points = list[tuple[float, float]]


def measure_devnet() -> list[Finding]:
    """P12, P13: read what `python -m bench.devnet` has left."""
    found = json.loads(DEVNET.read_text()) if DEVNET.exists() else {}
    load = found.get("load_saturating", {})
    rate = load.get("final_per_second")
    delay = found.get("finality_idle", {}).get("p50_ms")
    missing = "run python -m bench.devnet first"
    return [
        Finding.at_least("P12", "finalised transfers a second, devnet", rate, 800)
        if rate is not None
        else Finding("P12", "finalised transfers a second, devnet", "-", ">= 800", None, missing),
        Finding.at_most("P13", "finality after the proposal, ms", delay, 250)
        if delay is not None
        else Finding("P13", "finality after the proposal, ms", "-", "<= 250", None, missing),
    ]


def measure_growth(worlds: dict[int, World], scale: Scale) -> tuple[list[Finding], list[Points]]:
    """P6: what one transaction costs in small and large states, in small and large blocks."""
    rounds = max(3, scale.rounds // 3)
    sizes = [scale.accounts_small, *(n for n in scale.curve_accounts if n in worlds)]
    sizes = sorted(set(sizes))
    count = min(scale.block, scale.accounts_small // 4)
    roots: Points = []
    imports: Points = []
    for size in sizes:
        world = worlds[size]
        act = timed_root(world.state, world.names, count)
        times = clock.take_turns({"root": act}, rounds)["root"]
        roots.append((size, times.least / count * 1e6))
        imports.append((size, import_cost(world, count, scale.rounds).least / count * 1e6))
    blocks: Points = []
    for size in scale.curve_blocks:
        times = import_cost(worlds[scale.accounts], size, scale.rounds if size < 10_000 else rounds)
        blocks.append((size, times.least / size * 1e6))
    by_block = dict(blocks)
    return [
        Finding.at_most(
            "P6",
            f"import a transaction, {sizes[-1]:,} / {sizes[0]:,} accounts",
            imports[-1][1] / imports[0][1],
            1.5,
            f"{imports[-1][1]:.1f} and {imports[0][1]:.1f} us",
        ),
        Finding.at_most(
            "P6",
            f"import a transaction, block of {scale.block_small} / of {scale.block_large:,}",
            by_block[scale.block_small] / by_block[scale.block_large],
            1.6,
            f"{by_block[scale.block_small]:.1f} and {by_block[scale.block_large]:.1f} us",
        ),
    ], [imports, roots, blocks]


def run(scale: Scale) -> list[Finding]:
    """Measure everything at a scale."""
    findings = say(measure_hashes(scale))
    memory, state = measure_memory(scale.memory)
    findings += say(memory) + say(measure_start(state, scale))
    del state
    signer_count = max(scale.block, scale.block_large)
    worlds = {
        size: World.make(size, min(signer_count, size // 2))
        for size in {scale.accounts_small, *scale.curve_accounts}
    }
    usual = worlds[scale.accounts]
    findings += say(measure_proofs(usual.state, usual.names))
    findings += say(measure_roots(usual, worlds[scale.accounts_large], scale))
    findings += say(measure_replay(usual, scale)) + say(measure_import(usual, scale))
    findings += say(measure_commit(usual, scale)) + say(measure_calls(usual, scale))
    growth, curves = measure_growth(worlds, scale)
    findings += say(growth)
    draw(curves)
    findings += say(measure_admission(usual, scale)) + say(measure_eras(scale))
    findings += say(measure_market())
    return findings + say(measure_devnet())


def draw(curves: list[Points]) -> None:
    """Write the growth curves."""
    imports, roots, blocks = curves
    write_svg(
        OUT / "growth.svg",
        [
            (
                "Microseconds against the size of the state",
                "accounts",
                [("import of a transaction", imports), ("root, an update", roots)],
            ),
            (
                "Microseconds against the size of the block",
                "transactions in a block",
                [("import of a transaction", blocks)],
            ),
        ],
    )


def main() -> int:
    """Run, print, and leave the results in a file; a missed goal is not an error."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes, two minutes")
    is_quick = parser.parse_args().quick
    for line in machine.describe():
        print(line)
    print()
    findings = run(QUICK if is_quick else FULL)
    print()
    print(machine.describe()[-1])
    OUT.mkdir(parents=True, exist_ok=True)
    name = "quick.json" if is_quick else "full.json"
    content = {"machine": machine.describe(), "findings": [asdict(found) for found in findings]}
    (OUT / name).write_text(json.dumps(content, indent=1) + "\n")
    print(f"written: bench/out/{name}, bench/out/growth.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
