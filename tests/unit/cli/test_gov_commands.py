"""The commands of governance against the answers of a real runtime: sent, refused, shown."""

import json

import pytest

from chain.rpc.governance import GovernanceMethods
from chain.wallet.accounts import dev_address
from chain.wallet.decoding import Decoder
from chain.wallet.extrinsic import decode_extrinsic
from chain.wallet.metadata import decode_metadata
from chain.wallet.ss58 import decode_account
from runtime import parameters as bounds
from runtime.balances import TREASURY, MintCause
from runtime.fees import BURN_SHARE
from runtime.governance.votes import LockedTooLate, NotEnough
from runtime.metadata import metadata_v14
from tests.support.governance import GRIST, Polls, as_root, aye, nay
from tests.support.runtime import person
from tests.support.staking_rpc import node_at
from tests.unit.cli.schema import check

ALICE, BOB, EVE = (dev_address(name) for name in ("Alice", "Bob", "Eve"))
BY_EVE = ("--from", "//Eve", "--yes", "--json")


@pytest.fixture(scope="module")
def polls() -> Polls:
    """Four votes: open, prepared, approved, unbacked; a treasury that owes; a paused module."""
    polls = Polls()
    polls.runtime.balances.mint(MintCause.GENESIS, TREASURY, 1_000_000 * GRIST)
    done = polls.submit(polls.chain.call("Parameters", "set", "fees.base", 600_000))
    polls.back(done)
    for who in ("Alice", "Bob", "Charlie"):
        polls.vote(who, done, aye(900_000 * GRIST))
    polls.done("Eve", "ConvictionVoting", "lock", 70 * GRIST)
    while polls.state(done) == "Ongoing":
        polls.next()
    open_ = polls.submit()
    polls.back(open_)
    polls.vote("Alice", open_, aye(600_000 * GRIST))
    polls.vote("Bob", open_, nay(5 * GRIST, 2))
    polls.open(open_)
    polls.back(polls.submit(polls.proposal(460_000_000)))
    polls.submit(polls.chain.call("Treasury", "spend", 5 * GRIST, person("Bob")))
    call = ("delegate", 0, person("Bob"), 3, 40 * GRIST)
    polls.done("Dave", "ConvictionVoting", *call)
    as_root(polls.chain, "Treasury", "spend", 50_000 * GRIST, person("Bob"))
    as_root(polls.chain, "Treasury", "grant", person("Bob"), person("Dave"), (GRIST, GRIST))
    as_root(polls.chain, "Treasury", "stream", person("Bob"), GRIST, 9)
    as_root(polls.chain, "Treasury", "envelope", person("Dave"), 300 * GRIST)
    as_root(polls.chain, "Safety", "freeze", 24, 1)
    polls.runtime.balances.record_break(26, -3)
    polls.next()
    polls.chain.close()
    return polls


@pytest.fixture
def methods(polls: Polls) -> GovernanceMethods:
    return GovernanceMethods(node_at(polls.chain))


@pytest.fixture
def governed(node, methods):
    """A node that answers about that chain, and takes every call."""
    fake = node.chain
    fake.metadata = metadata_v14()
    fake.outcome = lambda _content: b"\0"
    fake.gristmill_v1_parameters = lambda _at=None: {"result": methods.parameters(None)}
    fake.gristmill_v1_tracks = lambda _at=None: {"result": methods.tracks(None)}
    fake.gristmill_v1_referenda = lambda count=None, before=None, _at=None: {
        "result": methods.referenda(count, before, None)
    }
    fake.gristmill_v1_referendum = lambda index, _at=None: {
        "result": methods.referendum(index, None)
    }
    fake.gristmill_v1_voter = lambda who, _at=None: {
        "result": methods.voter(decode_account(who), None)
    }
    fake.gristmill_v1_treasury = lambda _at=None: {"result": methods.treasury(None)}
    fake.gristmill_v1_safety = lambda _at=None: {"result": methods.safety(None)}
    return fake


def sent(fake) -> dict:
    """The last call that reached a block."""
    call = decode_extrinsic(fake.blocks[-1][-1]).call
    return Decoder(decode_metadata(fake.metadata)).decode_call(call)


def proposed(fake) -> dict:
    """The call inside the proposal that was submitted last."""
    encoded = sent(fake)["args"]["proposal"]["Inline"]
    return Decoder(decode_metadata(fake.metadata)).decode_call(bytes.fromhex(encoded[2:]))


GRAINS_5 = str(5 * GRIST)


@pytest.mark.parametrize(
    ("words", "name", "args"),
    [
        (("back", "3"), "Referenda.place_decision_deposit", {"index": 3}),
        (
            ("vote", "1", "aye", "5", "--conviction", "3"),
            "ConvictionVoting.vote",
            {"poll_index": 1, "vote": {"Standard": {"vote": 0x83, "balance": GRAINS_5}}},
        ),
        (
            ("vote", "1", "nay", "5", "--conviction", "0"),
            "ConvictionVoting.vote",
            {"poll_index": 1, "vote": {"Standard": {"vote": 0, "balance": GRAINS_5}}},
        ),
        (
            ("vote", "1", "abstain", "5"),
            "ConvictionVoting.vote",
            {
                "poll_index": 1,
                "vote": {"SplitAbstain": {"aye": "0", "nay": "0", "abstain": GRAINS_5}},
            },
        ),
        (("remove-vote", "1"), "ConvictionVoting.remove_vote", {"index": 1}),
        (
            ("delegate", "slashes", "//Bob", "5", "--conviction", "2"),
            "ConvictionVoting.delegate",
            {"class": 3, "to": BOB, "conviction": "Locked2x", "balance": GRAINS_5},
        ),
        (("undelegate", "safety"), "ConvictionVoting.undelegate", {"class": 5}),
        (("lock", "5"), "ConvictionVoting.lock", {"amount": GRAINS_5}),
        (("send", "//Bob", "5"), "Votes.send", {"dest": BOB, "value": GRAINS_5}),
        (("unlock", "parameters"), "ConvictionVoting.unlock", {"class": 0, "target": EVE}),
        (
            ("unlock", "parameters", "//Bob"),
            "ConvictionVoting.unlock",
            {"class": 0, "target": BOB},
        ),
    ],
)
def test_a_verb_sends_its_call(gristmill, governed, words, name, args) -> None:
    done = gristmill("gov", *words, *BY_EVE)
    assert (done.code, done.err) == (0, "")
    assert check(done.out)["schema"] == "gristmill.tx.result/1"
    assert sent(governed) == {"call": name, "args": args}


@pytest.mark.parametrize(
    ("words", "name", "args"),
    [
        (
            ("upgrade", "2", "0x" + "ab" * 32, "1000"),
            "System.schedule_version",
            {"version": 2, "content_hash": "0x" + "ab" * 32, "height": 1000},
        ),
        (("cancel-upgrade",), "System.cancel_version", {}),
        (
            ("param", "fees.burn_share", "45%"),
            "Parameters.set",
            {"name": "fees.burn_share", "value": "450000000"},
        ),
        (
            ("param", "fees.base", "0.0007"),
            "Parameters.set",
            {"name": "fees.base", "value": "700000"},
        ),
        (
            ("param", "treasury.expiry_eras", "60"),
            "Parameters.set",
            {"name": "treasury.expiry_eras", "value": "60"},
        ),
        (("spend", "5", "//Bob"), "Treasury.spend", {"amount": GRAINS_5, "beneficiary": BOB}),
        (
            ("grant", "//Bob", "//Alice", "5", "5"),
            "Treasury.grant",
            {"beneficiary": BOB, "curator": ALICE, "tranches": [GRAINS_5, GRAINS_5]},
        ),
        (
            ("stream", "//Bob", "5", "9"),
            "Treasury.stream",
            {"beneficiary": BOB, "per_era": GRAINS_5, "eras": 9},
        ),
        (("stop", "0", "--slash-bond"), "Treasury.stop", {"id": 0, "slash_bond": True}),
        (
            ("cancel-slash", "4", "a bug"),
            "Slashing.cancel_deferred_slash",
            {"id": 4, "reason": "0x" + b"a bug".hex()},
        ),
        (
            ("envelope", "//Bob", "5"),
            "Treasury.envelope",
            {"curator": BOB, "amount": GRAINS_5},
        ),
        (("freeze", "treasury", "2"), "Safety.freeze", {"module": 23, "eras": 2}),
        (("unfreeze", "26"), "Safety.unfreeze", {"module": 26}),
    ],
)
def test_a_proposal_holds_the_call_that_was_meant(gristmill, governed, words, name, args) -> None:
    done = gristmill("gov", "propose", *words, *BY_EVE)
    assert (done.code, done.err) == (0, "")
    assert sent(governed)["call"] == "Referenda.submit"
    assert sent(governed)["args"]["enactment_moment"] == {"After": 0}
    assert proposed(governed) == {"call": name, "args": args}


def test_a_proposal_may_be_backed_at_once_and_act_later(gristmill, governed, polls) -> None:
    words = ("gov", "propose", "unfreeze", "26", "--at", "900")
    assert gristmill(*words, *BY_EVE).code == 0
    assert sent(governed)["args"]["enactment_moment"] == {"At": 900}
    assert gristmill(*words[:-2], "--after", "7", "--back", *BY_EVE).code == 0
    batch = sent(governed)
    assert batch["call"] == "Utility.batch_all"
    first, second = batch["args"]["calls"]
    assert first["args"]["enactment_moment"] == {"After": 7}
    assert second == {"call": "Referenda.place_decision_deposit", "args": {"index": 4}}


def test_any_call_of_root_can_be_proposed_as_bytes(gristmill, governed, polls) -> None:
    encoded = polls.proposal().hex()
    assert gristmill("gov", "propose", "call", f"0x{encoded}", *BY_EVE).code == 0
    assert proposed(governed)["call"] == "Parameters.set"
    assert gristmill("gov", "propose", "call", "0xzz", *BY_EVE).code == 2


def refuse(governed, error: type) -> None:
    """Let the node say that a call would fail."""
    governed.gristmill_v1_dryRun = lambda _text: {
        "result": {"result": "0x0001" + error.encoded.hex(), "events": "0x00"}
    }


@pytest.mark.parametrize(
    ("value", "error", "figure"),
    [
        ("29%", bounds.BelowMinimum, "its minimum is 30 %"),
        ("61%", bounds.AboveMaximum, "its maximum is 60 %"),
        ("40%", bounds.TooSteep, "it is 50 % and moves by at most 5 % a vote"),
        ("50%", bounds.NothingToChange, "it is 50 % already"),
        ("45%", bounds.CoolingDown, "it may change again in 0 eras"),
    ],
)
def test_a_refusal_names_the_bound_and_nothing_is_sent(
    gristmill, governed, value, error, figure
) -> None:
    refuse(governed, error)
    blocks = len(governed.blocks)
    done = gristmill("gov", "propose", "param", BURN_SHARE.name, value, *BY_EVE)
    assert done.code == 1
    message = json.loads(done.err)["error"]["message"]
    name = f"Parameters.{error.__name__}"
    assert message == f"it would fail, so nothing was sent: {name}: fees.burn_share: {figure}"
    assert len(governed.blocks) == blocks


@pytest.mark.parametrize(
    ("error", "figure"),
    [
        (LockedTooLate, "70 GRIST is locked, the vote opened at #"),
        (NotEnough, "GRIST may vote, 70 GRIST is locked"),
    ],
)
def test_a_vote_that_comes_too_late_is_told_what_is_locked(
    gristmill, governed, error, figure
) -> None:
    refuse(governed, error)
    done = gristmill("gov", "vote", "1", "aye", "500", *BY_EVE)
    assert figure in json.loads(done.err)["error"]["message"]


def test_all_is_what_may_still_vote(gristmill, governed, polls) -> None:
    assert gristmill("gov", "vote", "1", "aye", "all", *BY_EVE).code == 0
    assert sent(governed)["args"]["vote"]["Standard"]["balance"] == str(70 * GRIST)
    assert gristmill("gov", "vote", "2", "aye", "all", *BY_EVE).code == 0
    available = polls.chain.look().voting.available(person("Eve"))
    assert sent(governed)["args"]["vote"]["Standard"]["balance"] == str(available)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("vote", "1", "maybe", "5"), 2),
        (("vote", "1", "aye", "5", "--conviction", "7"), 2),
        (("delegate", "nothing", "//Bob", "5"), 2),
        (("propose", "param", "fees.nothing", "5"), 66),
        (("propose", "param", "fees.burn_share", "101%"), 2),
        (("propose", "param", "treasury.expiry_eras", "many"), 2),
        (("propose", "freeze", "nothing", "2"), 2),
        (("vote", "99", "aye", "all"), 66),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(gristmill, governed, words, code) -> None:
    assert gristmill("gov", *words, *BY_EVE).code == code
    assert "author_submitExtrinsic" not in governed.asked


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("gov", "list"), ["approved", "deciding", "preparing", "Parameters.set name=fees"]),
        (("gov", "list", "--count", "1"), ["Treasury.spend amount="]),
        (("gov", "show", "0"), ["approved, track parameters", "its call runs", "opened"]),
        (("gov", "show", "1"), ["approval", "turnout", "then", "is approved", "its call runs"]),
        (("gov", "show", "2"), ["opens", "is rejected"]),
        (("gov", "show", "3"), ["is dropped unless backed", "gristmill gov back 3"]),
        (("gov", "voter", "//Alice"), ["vote 1: 600000 GRIST", "locked"]),
        (("gov", "voter", "//Bob"), ["40 GRIST stand behind it"]),
        (("gov", "voter", "//Dave"), ["delegates 40 GRIST, 3x, to"]),
        (("gov", "tracks"), ["treasury_small", "66.7 % -> 66.7 %"]),
        (("params", "list", "fees"), ["fees.burn_share", "30 %", "60 %"]),
        (("params", "show", "fees.base"), ["0.0005 GRIST", "TransactionPayment"]),
        (("treasury", "show"), ["unlocked", "rate_limit", "grant 0: 0 of 2", "stream 1: 1 GRIST"]),
        (
            ("treasury", "show"),
            ["envelope 2: 300 GRIST of 300 GRIST left for bounties", "proposed"],
        ),
        (("treasury", "safety"), ["Vesting is paused until #", "Insurance is frozen since #"]),
    ],
)
def test_what_is_shown_is_said_in_words_and_by_its_schema(gristmill, governed, words, says) -> None:
    told = gristmill(*words)
    assert told.code == 0, told.err
    for text in says:
        assert text in told.out, told.out
    check(gristmill(*words, "--json").out)


def test_votes_of_an_asset_are_not_called_grist(gristmill, governed, methods) -> None:
    told = {**methods.voter(person("Bob"), None), "asset": "votes"}
    governed.gristmill_v1_voter = lambda _who, _at=None: {"result": told}
    lines = gristmill("gov", "voter", "//Bob").out.splitlines()
    assert [line.rsplit(" ", maxsplit=1)[1] for line in lines[1:3]] == ["votes", "votes"]


def test_what_is_not_there_is_not_found(gristmill, governed) -> None:
    assert gristmill("gov", "show", "99").code == 66
    done = gristmill("params", "show", "burn_share")
    assert done.code == 66
    assert "fees.burn_share" in done.err


def test_curators_work_from_the_command_line(gristmill, governed) -> None:
    assert gristmill("treasury", "accept", "0", *BY_EVE).code == 0
    assert sent(governed) == {"call": "Treasury.accept_curator", "args": {"id": 0}}
    assert gristmill("treasury", "release", "0", *BY_EVE).code == 0
    assert sent(governed) == {"call": "Treasury.release_milestone", "args": {"id": 0}}
    find = "0x" + "ab" * 32
    bounty = ("treasury", "bounty", "2", "//Bob", "5", "--find", find)
    assert gristmill(*bounty, *BY_EVE).code == 0
    args = {"id": 2, "find": find, "beneficiary": BOB, "amount": GRAINS_5}
    assert sent(governed) == {"call": "Treasury.grant_bounty", "args": args}
    assert gristmill(*bounty[:-1], "0xab", *BY_EVE).code


def test_what_will_happen_is_what_happens(polls, methods) -> None:
    """The heights told of a vote that goes on come true when nobody votes any more."""
    told = methods.referendum(1, None)["next"]
    chain = polls.chain
    while chain.height < told["confirmsAt"]:
        chain.block()
    runtime = chain.look()
    summary = runtime.referenda.summaries[1]
    assert (summary.ended, summary.enact_at) == (told["confirmsAt"], told["enactsAt"])
