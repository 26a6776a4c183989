"""Scripts that come by the places of the market that post money; nothing here asserts much.

Each makes its own chain. Together with some units of the market they come by every place.
"""

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

from runtime.balances import HoldReason
from runtime.market.budgets import organisation_account
from runtime.market.datasets import module as datasets
from runtime.market.datasets.nouns import ATTESTER_ERAS, RETIRE_ERAS, SIGNAL_ERAS
from runtime.market.datasets.registry import commitment_of
from runtime.market.jobs.numbers import (
    BIDDING_BLOCKS,
    PART_BLOCKS,
    REVEALING_BLOCKS,
    START_BLOCKS,
)
from runtime.market.nouns import Fault, Reason
from runtime.market.verification.numbers import CANARY_ERAS, NOTICE_ERAS
from tests.support.bazaar import PANEL, SKIPPED, Bazaar, cheated, honest
from tests.support.datasets import Data, Library, content
from tests.support.jobs import ANN, BEN, CPU, GRIST, OTHER, REQUESTER, Market, reference_spec
from tests.support.newsroom import DOLLAR, PEOPLE, Newsroom
from tests.support.providers import D, E, P, Yard
from tests.support.runtime import Chain, person
from tests.support.verification import MANAGER, OTHERS, SET, Bench

ALICE, BOB, CHARLIE = (person(name) for name in ("Alice", "Bob", "Charlie"))
DATA = Data(content(1, 40))


# Organisations and people


def organisations() -> None:
    """An organisation pays out, goes to a member, and is closed."""
    chain = Chain.start("plain")
    chain.open()

    def done(who: bytes, name: str, *arguments: object) -> None:
        assert chain.apply(chain.call("Budgets", name, *arguments), who)

    done(ALICE, "create", "lab")
    assert chain.apply(chain.transfer(organisation_account(0), 1_000 * GRIST), BOB)
    done(ALICE, "set_member", 0, BOB, 100 * GRIST, 150 * GRIST)
    done(ALICE, "set_owner", 0, BOB)
    done(BOB, "withdraw", 0, GRIST)
    done(BOB, "remove_member", 0, BOB)
    done(BOB, "close", 0)
    chain.close()


def reporters() -> None:
    """Reporters are paid for what they say, one leaves, one is cast out for what it says."""
    room = Newsroom()
    room.done(PEOPLE[4], "leave")
    liar, era = PEOPLE[0], room.chain.runtime.parameters.era
    while room.oracle.reporters[liar].bond == room.oracle.reporters[PEOPLE[1]].bond:
        said = 3 * DOLLAR if room.oracle.reporters[liar].suspended_until <= era() else DOLLAR
        room.people = PEOPLE[:4]
        room.rounds(1, said, DOLLAR)
    while not room.chain.apply(room.chain.call("Oracle", "take_bond"), PEOPLE[4]):
        room.pass_blocks(30)
    room.chain.close()


# Jobs


def market() -> Market:
    """A market on which auctions are short, and a GRIST is worth a dollar."""
    made = Market()
    for parameter in (BIDDING_BLOCKS, REVEALING_BLOCKS, START_BLOCKS):
        parameter.begin(made.runtime.ctx, parameter.low)
    oracle = made.runtime.market.oracle
    oracle.price = oracle.mean = lambda: DOLLAR
    return made


def paid_in_dollars() -> None:
    """A job that credits pay a part of is settled, and one of nobody's is given up."""
    made = market()
    made.done(REQUESTER, "Credits", "buy", 40 * GRIST)
    made.done(ANN, "Providers", "set_offer", CPU, GRIST // 20)
    usd = made.runtime.market.credits.balance(REQUESTER.id)
    id_ = made.submit(usd=usd)
    made.done(REQUESTER, "Jobs", "take_offer", id_, ANN.id)
    made.start(id_)
    made.complete(id_)
    made.done(REQUESTER, "Jobs", "accept", id_)
    made.next()


def auctions() -> None:
    """One is called off, in one the best bidder is broke."""
    made = market()
    id_ = made.submit()
    made.bid(ANN, 60 * GRIST, id_)
    made.done(REQUESTER, "Jobs", "cancel", id_)
    id_ = made.submit()
    bids = ((ANN, 60 * GRIST), (BEN, 50 * GRIST))
    for who, price in bids:
        made.bid(who, price, id_)
    made.until(made.job(id_).due)
    for who, price in bids:
        made.reveal(who, price, id_)
    rest = made.free(BEN) - 149 * GRIST
    made.runtime.balances.hold(BEN.id, HoldReason.SERVICE, rest)
    made.until(made.job(id_).due)
    made.next()


def deposits_until_the_start() -> None:
    """A requester whose jobs failed lets one start and one lapse."""
    made = market()
    for _ in range(5):
        made.reputation.note_requester(REQUESTER.id, is_failed=True)
    made.started()
    id_ = made.matched()
    made.until(made.job(id_).due)
    made.next()


def frauds() -> None:
    """A provider whom others back signs two receipts, and is reported by a stranger.

    It was so cheap that the requester is owed half of the price, and delegators pay for it, too.
    """
    made = market()
    made.done(OTHER, "Providers", "delegate", ANN.id, 5_000 * GRIST)
    made.started(8 * GRIST)
    left, right = (made.receipt(1, checkpoint_out=state * 32) for state in (b"1", b"2"))
    proof = (left, ANN.sign(left), right, ANN.sign(right))
    made.done(BEN, "Jobs", "report_conflict", *proof)
    made.next()


def parted() -> None:
    """Of a long run one part is paid without an audit, and one falls with the rest.

    Later a requester that pays in dollars cancels behind a part.
    """
    made = market()
    PART_BLOCKS.begin(made.runtime.ctx, 20)
    spec = reference_spec()
    id_ = made.started(60 * GRIST, spec)
    first, second = (closed(made, id_) for _ in range(2))
    made.jobs.leave_to_requester(first)
    made.done(REQUESTER, "Jobs", "accept", first)
    made.jobs.convict(second, Fault.WRONG_CHECKPOINT, Reason.WRONG_CHECKPOINT, challenger=OTHER.id)
    made.next()
    made.done(REQUESTER, "Credits", "buy", 40 * GRIST)
    usd = made.runtime.market.credits.balance(REQUESTER.id)
    id_ = made.submit(spec, usd=usd, offer=ANN.id)
    made.start(id_)
    first = closed(made, id_)
    made.done(REQUESTER, "Jobs", "cancel", id_)
    made.until(made.job(first).due + 1)
    made.next()


def closed(made: Market, id_: int) -> int:
    """Back the next part but one of Ann's run and close the next; gives the number of that."""
    made.done(ANN, "Jobs", "top_up", id_)
    made.done(ANN, "Jobs", "close_part", id_, b"c" * 32, b"f" * 32, 1)
    return int(made.jobs.job_count) - 1


def staked() -> None:
    """Nominators have their part of the fees of jobs."""
    made = market()
    for who in (OTHER, REQUESTER):
        made.done(who, "Staking", "bond", 10_000 * GRIST, ("Staked", None))
        made.done(who, "Staking", "nominate", (ALICE, BOB, CHARLIE))
    made.next(4 * 8)
    id_ = made.completed()
    made.done(REQUESTER, "Jobs", "accept", id_)
    made.next(3 * 8)


# Providers


def sponsors() -> None:
    """A deposit for somebody else is put down and taken back."""
    yard = Yard()
    yard.done(E, "sponsor", P)
    yard.done(E, "withdraw_sponsorship", P)
    yard.next()


def pools() -> None:
    """A provider that earned retires; its last delegator leaves crumbs, and it is forgotten."""
    yard = Yard()
    yard.register()
    yard.back(500)
    yard.runtime.balances.hold(E, HoldReason.ESCROW, 7 * GRIST)
    yard.providers.pay_earned(P, 7 * GRIST, E, HoldReason.ESCROW)
    yard.skip(90)
    yard.done(P, "leave")
    yard.next(2)
    yard.skip(10)
    yard.done(D, "undelegate", P, yard.providers.delegations[P, D].shares)
    yard.skip(18)
    yard.done(P, "withdraw_security")
    yard.next()
    yard.done(D, "withdraw_delegated", P)
    yard.next()


# Data


def sold() -> Library:
    """A library in which Alice's dataset 0 is active."""
    library = Library()
    library.active("Alice", DATA)
    return library


def void_commits() -> None:
    """A commit that nobody revealed is dropped; for once that is soon."""
    library = Library()
    library.commit("Alice", DATA)
    library.next(3)
    with patch.object(datasets, "REVEAL_MAX", 2):
        library.done("Alice", "drop_commit", commitment_of(DATA.root, ALICE, bytes(32)))
    library.next()


def first_commits() -> None:
    """Whoever committed first has the root of another, who revealed first."""
    library = Library()
    library.commit("Bob", DATA)
    library.commit("Alice", DATA)
    library.next(10)
    library.done("Alice", *library.reveal_arguments(DATA))
    library.done("Bob", *library.reveal_arguments(DATA))
    library.next()


def owners() -> None:
    """A bond grows, a miss is reported, the dataset goes to an heir and is revoked."""
    library = sold()
    RETIRE_ERAS.begin(library.runtime.ctx, RETIRE_ERAS.low)
    library.done("Alice", "add_bond", 0, GRIST)
    library.next_era()
    era = library.era
    library.until(library.module.clock().closes(era))
    library.done("Bob", "report_miss", 0, era)
    library.done("Alice", "offer_owner", 0, BOB)
    library.done("Bob", "accept_owner", 0)
    library.done("Bob", "revoke", 0)
    library.next(16)
    library.done("Bob", "withdraw_bond", 0)
    library.next()


def rents() -> None:
    """An owner without free money pays the rent out of its bond."""
    library = sold()
    library.next_era()
    balances = library.runtime.balances
    rest = balances.spendable(ALICE, keep_alive=True)
    balances.transfer(ALICE, BOB, rest, keep_alive=True)
    library.prove(0, "Bob")
    library.next()


def signals() -> None:
    """Curators are paid, leave a crumb, and have their signals back."""
    library = sold()
    SIGNAL_ERAS.begin(library.runtime.ctx, SIGNAL_ERAS.low)
    curators = ("Alice", "Bob", "Charlie")
    for who in curators:
        library.done(who, "signal", 0, 10 * GRIST)
    library.use(0, person("Eve"), 1_000)
    for who in curators:
        library.done(who, "claim_fees", 0)
    for who in curators:
        library.done(who, "unsignal", 0, 10 * GRIST)
    library.next(8 * SIGNAL_ERAS.low)
    library.done("Bob", "free_signal", 0, BOB)
    library.next()


def attesters() -> None:
    """An attester leaves and has its bond back."""
    library = sold()
    ATTESTER_ERAS.begin(library.runtime.ctx, ATTESTER_ERAS.low)
    library.done("Bob", "bond", 5_000 * GRIST)
    library.done("Bob", "attest", 0, b"d" * 32)
    library.done("Bob", "leave")
    library.next(8 * ATTESTER_ERAS.low)
    library.done("Bob", "withdraw")
    library.next()


# Results


def audited() -> None:
    """A job on data that somebody signals is audited, settled, and its provider retires."""
    fair = Bazaar()
    fair.act(PANEL[0], "Datasets", "signal", 0, 10 * GRIST)
    id_, made = fair.trained_job(honest(), ANN)
    fair.wait_for_panel(id_)
    fair.hear(id_, made, {})
    fair.until(fair.job(id_).due + 2)


def disputed() -> None:
    """A result is disputed twice: for show, and to the step that is wrong."""
    fair = Bazaar()
    id_, made = fair.trained_job(cheated(SKIPPED), ANN)
    sham, real = fair.challenge(OTHER, id_, 3), fair.challenge(REQUESTER, id_)
    fair.done(OTHER, "Disputes", "abandon", sham)
    fair.fight(real, made, REQUESTER)
    fair.next()


def managers() -> None:
    """A manager resigns, another never tells which jobs were canaries."""
    bench = Bench(3)
    CANARY_ERAS.begin(bench.runtime.ctx, CANARY_ERAS.low)
    for who in (MANAGER, OTHERS[0]):
        bench.vote("name_manager", who, True)
        bench.done(who, "bond_manager")
    bench.done(OTHERS[0], "resign_manager")
    bench.done(MANAGER, "commit_canaries", b"r" * 32, 1)
    bench.next_era(CANARY_ERAS.low + 2)
    bench.next(2)


def noticed() -> None:
    """A verifier leaves and has its bond back."""
    bench = Bench(2)
    NOTICE_ERAS.begin(bench.runtime.ctx, NOTICE_ERAS.low)
    bench.done(SET[0], "leave")
    leaving = replace(bench.module.verifiers[SET[0]], leaving=bench.height + 3)
    bench.module.verifiers[SET[0]] = leaving
    bench.next(3)
    bench.done(SET[0], "withdraw")
    bench.next()


SCRIPTS: dict[str, Callable[[], None]] = {
    script.__name__: script
    for script in (
        audited,
        disputed,
        paid_in_dollars,
        auctions,
        deposits_until_the_start,
        frauds,
        parted,
        staked,
        organisations,
        sponsors,
        pools,
        first_commits,
        void_commits,
        owners,
        rents,
        signals,
        attesters,
        noticed,
        managers,
        reporters,
    )
}
