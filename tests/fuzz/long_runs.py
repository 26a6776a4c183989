"""The long runs besides decoders: calls of everybody, histories in all ways, a search for profit.

Each piece has a seed and prints a line; counts are kept in the file of `--resume`.
"""

# ruff: noqa: T201 - a command that prints

import argparse
import time
from collections import Counter

from tests.fuzz.calls import run_history
from tests.fuzz.economy import Search, cheating_grid
from tests.fuzz.histories import History
from tests.support.tally import Tally

CALLS_A_PIECE = 6_000
BLOCKS_A_PIECE = 100
STRATEGIES_A_PIECE = 100


def run_calls(args: argparse.Namespace) -> int:
    """Send calls of every kind until there are enough."""
    tally = Tally(args.resume, "structured calls", seed=args.seed)
    first, done, names = _first(tally, args), 0, Counter[str]()
    for number in range(first, first + max(1, -(-args.count // CALLS_A_PIECE))):
        began = time.monotonic()
        size = min(CALLS_A_PIECE, args.count)
        history = run_history(args.seed * 1_000_003 + number, size)
        seconds = time.monotonic() - began
        names += history.calls
        done += sum(n for name, n in history.calls.items() if name.endswith(" done"))
        made = {name.removesuffix(" done") for name in names if name.endswith(" done")}
        tally.add("calls", sent=history.sent, blocks=history.fair.chain.height)
        _finish(tally, args, number)
        print(
            f"calls seed {args.seed} piece {number}  {history.sent} calls"
            f" ({history.sent / seconds:.0f}/s)  {history.fair.chain.height} blocks"
            f"  kinds done so far {len(made)} of {len(history.entries_all)}",
            flush=True,
        )
    for name in sorted({n.removesuffix(" done") for n in names}):
        made = names[f"{name} done"]
        print(f"    {name:40} sent {names[name] + made:6}  done {made}")
    print(tally.line())
    return 0


def run_twins(args: argparse.Namespace) -> int:
    """Execute histories in all ways until there are enough transitions."""
    tally = Tally(args.resume, "differential", seed=args.seed)
    number, transitions = _first(tally, args), 0
    while transitions < args.count:
        began = time.monotonic()
        history = History(args.seed * 1_000_003 + number)
        history.run(BLOCKS_A_PIECE)
        transitions += history.transitions
        tally.add("histories", transitions=history.transitions, blocks=len(history.blocks))
        _finish(tally, args, number)
        rate = history.transitions / (time.monotonic() - began)
        print(
            f"twins seed {args.seed} piece {number}  {history.transitions} transitions"
            f" ({rate:.0f}/s)  failed calls {history.failed}  digest {history.digest}",
            flush=True,
        )
        number += 1
        if args.only is not None:
            break
    print(tally.line())
    return 0


def run_profit(args: argparse.Namespace) -> int:
    """Judge the grid of cheats, then look for strategies that gain."""
    tally = Tally(args.resume, "economic search", seed=args.seed)
    count, paying = cheating_grid()
    print(f"cheats judged {count}, of which pay {len(paying)}")
    for words in paying[:20]:
        print(f"    {words}")
    first, finds = _first(tally, args), 0
    for number in range(first, first + max(1, -(-args.count // STRATEGIES_A_PIECE))):
        began = time.monotonic()
        search = Search(args.seed * 1_000_003 + number)
        search.run(min(STRATEGIES_A_PIECE, args.count))
        rate = search.tried / (time.monotonic() - began)
        finds += len(search.finds)
        tally.add(
            "strategies", tried=search.tried, operations=search.ops, profitable=len(search.finds)
        )
        _finish(tally, args, number)
        print(
            f"profit seed {args.seed} piece {number}  {search.tried} strategies ({rate:.0f}/s)"
            f"  operations {search.ops}, done {search.done}  best {search.best[0][0]}",
            flush=True,
        )
        for gain, strategy in search.finds[:3]:
            print(f"    gains {gain}: {strategy}")
    print(tally.line())
    return min(finds + len(paying), 1)


def _first(tally: Tally, args: argparse.Namespace) -> int:
    return tally.next_number() if args.only is None else int(args.only)


def _finish(tally: Tally, args: argparse.Namespace, number: int) -> None:
    if args.only is None:
        tally.finish(number)
