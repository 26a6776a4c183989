"""The commands of the market: what they send, what they refuse at once, and what they show."""

import json

import pytest

from chain.cli.market import REFERENCE, parse_usd, show_usd, spoken
from chain.wallet.accounts import dev_address
from chain.wallet.decoding import Decoder
from chain.wallet.errors import WrongUse
from chain.wallet.extrinsic import decode_extrinsic
from chain.wallet.metadata import decode_metadata
from runtime.market.nouns import JobState, Verification
from runtime.market.trainer import PROGRAM
from tests.support.jobs import GRIST
from tests.support.town import Settings, Town
from tests.unit.cli.live_town import LiveTown
from tests.unit.cli.schema import check

ALICE, BOB, EVE = (dev_address(name) for name in ("Alice", "Bob", "Eve"))
BY_EVE = ("--from", "//Eve", "--yes", "--json")
ZEROS = "0x" + "00" * 32


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A town with data, a provider, verifiers, and a job whose result is there."""
    town = Town(tmp_path_factory.mktemp("town"))
    town.add_verifiers("Alice", "Bob", "Charlie")
    town.add_dataset("Eve", 2 * GRIST)
    town.add_provider("Paula", Settings())
    town.submit("Dave", town.spec())
    town.until(0, JobState.WINDOW)
    return town


@pytest.fixture
def market(node, built):
    """A node that answers about that town, and takes every call but executes none."""
    live = LiveTown(node.chain, built)
    fake = node.chain
    kinds = type(fake)
    for name in (
        "author_submitExtrinsic",
        "chain_getBlockHash",
        "chain_getFinalizedHead",
        "gristmill_v1_dryRun",
        "system_accountNextIndex",
    ):
        setattr(fake, name, getattr(kinds, name).__get__(fake))
    fake.outcome = lambda _content: b"\0"
    live.catch_up()
    return fake


def sent(fake):
    """The last call that reached a block."""
    call = decode_extrinsic(fake.blocks[-1][-1]).call
    return Decoder(decode_metadata(fake.metadata)).decode_call(call)


TERMS = {
    "classes": [{"class_id": 0, "capacity": 1}, {"class_id": 3, "capacity": 4}],
    "region": "0x6c6162",
    "endpoint": ZEROS,
    "payout": BOB,
    "commission": 25_000_000,
}
TERM_WORDS = (
    "--class", "CPU-64=4", "--class", "h100-80g", "--region", "lab", "--payout", "//Bob",
    "--commission", "2.5%",
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "name", "args"),
    [
        (("job", "take", 0, "//Bob"), "Jobs.take_offer", {"id": 0, "provider": BOB}),
        (("job", "accept", 7), "Jobs.accept", {"id": 7}),
        (("job", "cancel", 7), "Jobs.cancel", {"id": 7}),
        (("job", "advance", 7), "Jobs.advance", {"id": 7}),
        (("job", "top-up", 7), "Jobs.top_up", {"id": 7}),
        (
            ("provider", "register", *TERM_WORDS, "--sponsor", "//Alice"),
            "Providers.register",
            {"terms": TERMS, "sponsor": ALICE},
        ),
        (("provider", "update", *TERM_WORDS), "Providers.update", {"terms": TERMS}),
        (
            ("provider", "offer", "CPU-64", "0.02"),
            "Providers.set_offer",
            {"class_id": 3, "per_unit": "20000000"},
        ),
        (("provider", "security", "5"), "Providers.deposit_security", {"amount": "5000000000"}),
        (("provider", "unbond", "5"), "Providers.unbond_security", {"amount": "5000000000"}),
        (("provider", "withdraw"), "Providers.withdraw_security", {}),
        (("provider", "withdraw", "//Bob"), "Providers.withdraw_delegated", {"provider": BOB}),
        (
            ("provider", "delegate", "//Bob", "5"),
            "Providers.delegate",
            {"provider": BOB, "amount": "5000000000"},
        ),
        (
            ("provider", "undelegate", "//Bob", 77),
            "Providers.undelegate",
            {"provider": BOB, "shares": "77"},
        ),
        (("provider", "leave"), "Providers.leave", {}),
        (("provider", "stay"), "Providers.stay", {}),
        (("verifier", "join", "5000"), "Verification.join", {"bond": "5000000000000"}),
        (("verifier", "leave"), "Verification.leave", {}),
        (("verifier", "withdraw"), "Verification.withdraw", {}),
        (
            ("oracle", "report", "0.1", "--class", "CPU-64=0.001", "--class", "0=0.0006"),
            "Oracle.report",
            {
                "price": 100_000,
                "classes": [{"class_id": 0, "price": 600}, {"class_id": 3, "price": 1_000}],
            },
        ),
        (("oracle", "join"), "Oracle.join", {}),
        (("oracle", "leave"), "Oracle.leave", {}),
        (("oracle", "withdraw"), "Oracle.take_bond", {}),
        (("credits", "buy", "5"), "Credits.buy", {"value": "5000000000"}),
        (("credits", "expire", "//Bob"), "Credits.expire", {"who": BOB}),
        (
            ("org", "member", 3, "//Bob", "--per-era", "5", "--in-all", "60"),
            "Budgets.set_member",
            {"id": 3, "who": BOB, "per_era": "5000000000", "in_all": "60000000000"},
        ),
        (("org", "member", 3, "//Bob", "--remove"), "Budgets.remove_member", {"id": 3, "who": BOB}),
        (("org", "withdraw", 3, "5"), "Budgets.withdraw", {"id": 3, "value": "5000000000"}),
        (("org", "close", 3), "Budgets.close", {"id": 3}),
    ],
)
def test_a_verb_sends_its_call(gristmill, market, words, name, args):
    done = gristmill(*words, *BY_EVE)
    assert (done.code, done.err) == (0, "")
    assert check(done.out)["schema"] == "gristmill.tx.result/1"
    call = sent(market)
    assert (call["call"], texts(call["args"])) == (name, texts(args))


SPEC = {
    "kind": "Train",
    "verification": "Audit",
    "replicas": 1,
    "program": REFERENCE,
    "params": "0x0a701700",
    "image": ZEROS,
    "datasets": [0],
    "class_id": 3,
    "units": 10,
    "checkpoints": 32,
    "steps": 128,
    "run_blocks": 3_600,
    "heartbeat": 100,
    "tolerance": 3,
    "max_price": "5000000000",
    "min_tier": 1,
}


@pytest.mark.parametrize(
    ("words", "changes", "rest"),
    [
        (("--dataset", 0), {}, {}),
        (
            (
                "--dataset", 0, "--outputs", 4, "--rate", 9_000, "--decay", 6, "--steps", 640,
                "--checkpoints", 64, "--class", "A100-80G", "--run-blocks", 50, "--heartbeat", 7,
                "--tolerance", 2, "--tier", 3, "--offer", "//Bob", "--usd", "12.5", "--org", 4,
            ),
            {
                "params": "0x04282306", "units": 1, "class_id": 1, "steps": 640,
                "checkpoints": 64, "run_blocks": 50, "heartbeat": 7, "tolerance": 2, "min_tier": 3,
            },
            {"offer": BOB, "usd": "12500000", "org": 4},
        ),
        (
            ("--dataset", 0, "--verification", "replication", "--replicas", 5),
            {"verification": "Replication", "replicas": 5},
            {},
        ),
        (
            (
                "--program", "0x" + "07" * 32, "--params", "0x0102", "--units", 9, "--kind",
                "infer", "--verification", "acceptance", "--image", "0x" + "08" * 32,
                "--dataset", 5, "--dataset", 2,
            ),
            {
                "program": "0x" + "07" * 32, "params": "0x0102", "units": 9, "kind": "Infer",
                "verification": "Acceptance", "image": "0x" + "08" * 32, "datasets": [2, 5],
            },
            {},
        ),
    ],
)  # fmt: skip
def test_a_job_is_asked_for_with_all_that_was_said(gristmill, market, words, changes, rest):
    done = gristmill("job", "submit", *words, "--price", "5", *BY_EVE)
    assert (done.code, done.err) == (0, "")
    assert check(done.out)["jobs"] == []
    call = sent(market)
    expected = {"spec": {**SPEC, **changes}, "offer": None, "usd": None, "org": None, **rest}
    assert call["call"] == "Jobs.submit"
    assert texts(call["args"]) == texts(expected)


def texts(value):
    """A value with every number as text: how long one is written is the decoder's business."""
    if isinstance(value, dict):
        return {name: texts(one) for name, one in value.items()}
    if isinstance(value, list):
        return [texts(one) for one in value]
    return str(value) if isinstance(value, int) else value


@pytest.mark.parametrize(
    "words",
    [
        ("job", "submit", "--dataset", 0),
        ("job", "submit", "--price", "5"),
        ("job", "submit", "--price", "5", "--dataset", 0, "--dataset", 1),
        ("job", "submit", "--price", "5", "--dataset", 0, "--steps", 100),
        ("job", "submit", "--price", "5", "--dataset", 0, "--replicas", 3),
        ("job", "submit", "--price", "5", "--dataset", 0, "--usd", "1.1234567"),
        ("job", "submit", "--price", "5", "--dataset", 0, "--params", "0x00"),
        ("job", "submit", "--price", "5", "--program", "0x" + "07" * 32),
        ("job", "submit", "--price", "5", "--program", "0x07", "--units", 5),
        ("job", "bid", 0),
        ("job", "bid", 0, "--price", "5", "--reveal"),
        ("provider", "register", "--class", "CPU-64=0"),
        ("provider", "register", "--class", "CPU-64=many"),
        ("oracle", "report", "much"),
        ("oracle", "report", "1", "--class", "CPU-64"),
        ("oracle", "report", "1", "--class", "CPU-64=1", "--class", "3=1"),
        ("org", "member", 0, "//Bob", "--per-era", "5"),
        ("org", "member", 0, "//Bob", "--remove", "--in-all", "5"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(gristmill, market, words):
    assert gristmill(*words, *BY_EVE).code == 2
    assert "author_submitExtrinsic" not in market.asked


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("provider", "offer", "ABACUS", "1"), "'ABACUS'"),
        (("job", "submit", "--price", "5", "--dataset", 0, "--class", "9"), "'9'"),
        (("job", "bid", 99, "--price", "5"), "job 99"),
        (("job", "bid", 0, "--reveal"), "job 0"),
        (("job", "report-conflict", "here", "there"), "'here'"),
    ],
)
def test_what_is_not_there_is_named(gristmill, market, words, name):
    done = gristmill(*words, *BY_EVE)
    assert done.code == 66
    assert name in json.loads(done.err)["error"]["message"]
    assert "author_submitExtrinsic" not in market.asked


def test_a_refusal_is_told_and_nothing_is_sent(gristmill, market):
    market.gristmill_v1_dryRun = lambda _text: {
        "result": {"result": "0x0001032100000000", "events": "0x00"}
    }
    done = gristmill("job", "accept", 7, *BY_EVE)
    assert done.code == 1
    error = json.loads(done.err)["error"]
    assert error["message"] == "it would fail, so nothing was sent: Jobs.UnknownJob"
    assert "author_submitExtrinsic" not in market.asked


@pytest.mark.parametrize(
    ("args", "schema"),
    [
        (("job", "show", 0), "job.show/1"),
        (("job", "list"), "job.list/1"),
        (("job", "list", "--state", "window", "--of", "//Dave"), "job.list/1"),
        (("provider", "status"), "provider.list/1"),
        (("verifier", "status"), "verifier.status/1"),
        (("oracle", "show"), "oracle.show/1"),
        (("credits", "show", "//Eve"), "credits.show/1"),
    ],
)
def test_the_json_of_a_view_keeps_its_schema_and_people_get_lines(gristmill, market, args, schema):
    done = gristmill(*args, "--json")
    assert (done.code, done.err) == (0, "")
    assert check(done.out)["schema"] == f"gristmill.{schema}"
    told = gristmill(*args)
    assert (told.code, told.err) == (0, "")
    assert told.out


def test_a_job_shows_where_it_stands_and_whose_money_is_held(gristmill, market, built):
    out = gristmill("job", "show", 0).out
    job = built.market.jobs.find(0)
    for words in (
        "train by the reference trainer, 1000 units of CPU-64",
        "128 steps in 32 checkpoints",
        "data        dataset 0",
        "cheating    loses",
        "audit is waiting until",
    ):
        assert words in out
    assert f"until       #{job.due} (in " in out


def test_jobs_are_found_by_state_and_account(gristmill, market):
    def ids(*words):
        return [row["id"] for row in check(gristmill("job", "list", *words, "--json").out)["jobs"]]

    assert ids() == ids("--state", "window") == ids("--of", "//Dave") == [0]
    assert ids("--state", "failed") == ids("--of", "//Ferdie") == []


def test_a_provider_shows_its_stake_and_offers(gristmill, market, built):
    address = next(row["account"] for row in rows(gristmill("provider", "status", "--json")))
    done = gristmill("provider", "status", address, "--json")
    found = check(done.out)["provider"]
    assert (found["tier"], found["security"]["own"]) == (1, str(20_000 * GRIST))
    lines = gristmill("provider", "status", address).out
    assert "region          lab" in lines
    assert "CPU-64  4         0        0.01" in lines
    assert gristmill("provider", "status", "//Eve", "--json").code == 66


def rows(done):
    return check(done.out)["providers"]


def test_the_reference_trainer_has_one_digest():
    assert bytes.fromhex(REFERENCE[2:]) == PROGRAM
    assert Verification.AUDIT.name.lower() == "audit"


@pytest.mark.parametrize(
    ("text", "micro", "shown"),
    [
        ("12.5", 12_500_000, "12.50 USD"),
        ("0.000001", 1, "0.000001 USD"),
        ("3 USD", 3_000_000, "3.00 USD"),
    ],
)
def test_dollars_are_read_and_written_to_the_millionth(text, micro, shown):
    assert parse_usd(text) == micro
    assert show_usd(micro) == shown


@pytest.mark.parametrize("text", ["", "-1", "1e3", "1.0000001", "9999999999999"])
def test_other_texts_are_no_dollars(text):
    with pytest.raises(WrongUse):
        parse_usd(text)


def test_names_of_the_chain_become_words():
    assert spoken("SilentInDispute") == "silent in dispute"
    assert spoken("Open") == "open"
