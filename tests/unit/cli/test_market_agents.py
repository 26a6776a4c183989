"""The commands that keep running: followed, signed, disputed, bid, on a chain that executes all."""

import json
import re
import signal

import pytest

from chain.cli import agents
from chain.market.door import Envelope
from chain.market.provider import Cheat
from chain.wallet.accounts import dev_address
from chain.wallet.errors import BadContent, NodeUnreachable, TryAgain
from ext import signing
from runtime.market.nouns import JobState, Reason, Verification
from tests.support.runtime import GENESIS_HASH
from tests.support.town import GRIST, Settings, Town, key_of
from tests.unit.cli.live_town import LiveTown
from tests.unit.cli.schema import check

BY_DAVE = ("--from", "//Dave", "--json")
SUBMIT = (
    "job", "submit", "--dataset", 0, "--outputs", 4, "--rate", 8_000, "--units", 1_000,
    "--price", "60", "--run-blocks", 300, "--heartbeat", 20, "--verification", "acceptance",
)  # fmt: skip


@pytest.fixture
def town(tmp_path):
    """A town with data, and Paula who provides; nobody has asked for anything."""
    town = Town(tmp_path / "town")
    town.add_dataset("Eve", 2 * GRIST)
    return town


@pytest.fixture
def live(node, town):
    live = LiveTown(node.chain, town)
    yield live
    live.close()


def submit(gristmill, *words):
    done = gristmill(*SUBMIT, *words, "--yes", *BY_DAVE)
    assert (done.code, done.err) == (0, "")
    (number,) = check(done.out)["jobs"]
    return number


def documents(text):
    """Every line as a document, held to its schema."""
    return [check(line) for line in text.splitlines()]


def test_a_job_is_followed_cosigned_and_measured_by_commands_alone(gristmill, live, town):
    town.add_provider("Paula", Settings())
    number = submit(gristmill)
    url = live.open_door("Paula")
    doors = ("--door", url, "--data", "mine")
    done = gristmill("job", "watch", number, "--cosign", *doors, *BY_DAVE)
    assert (done.code, done.err) == (0, "")
    told = documents(done.out)
    steps = [one["state"] for one in told if one["schema"] == "gristmill.job.watch/1"]
    seen = list(dict.fromkeys(steps))
    assert seen == ["Bidding", "Revealing", "Matched", "Running", "Window", "Settled"]
    assert max(one.get("accepted", 0) for one in told) >= 8
    said = [one["sentence"] for one in told if "sentence" in one]
    assert f"job {number}: signed for checkpoint 0 of attempt 0" in said
    assert f"job {number}: signed for checkpoint 8 of attempt 0" in said
    assert town.failures == []
    result = check(gristmill("job", "result", number, *doors, "--json").out)
    assert result["is_final"]
    assert result["loss"] < 0.05
    assert result["accuracy"] > 0.9
    assert (town.path.parent / result["file"]).stat().st_size == result["bytes"]
    shown = check(gristmill("job", "show", number, "--json").out)["waterfall"]
    (money,) = [one["fields"] for one in shown if one["event"] == "WorkRewards.JobSettled"]
    parts = [money[name] for name in ("earned", "royalties", "left")] + list(money["fee"].values())
    assert sum(int(part) for part in parts) == int(money["escrow"])
    assert re.search(
        r"Job settled: escrow \d.*earned \d.*burned", gristmill("job", "show", number).out
    )
    again = gristmill("job", "watch", number)
    assert (again.code, again.out.count("\n")) == (0, 1)
    assert re.fullmatch(rf"#\d+  job {number} is settled \(.*\), attempt 0 of \w+\n", again.out)


def test_a_job_that_ends_badly_is_an_error_with_the_reason(gristmill, live, town):
    number = submit(gristmill)
    assert gristmill("job", "cancel", number, "--yes", *BY_DAVE).code == 0
    done = gristmill("job", "watch", number, "--json")
    assert done.code == 1
    error = json.loads(done.err)["error"]
    assert error["message"] == f"job {number} is cancelled: by requester"


def test_a_wrong_result_is_challenged_and_convicted_at_its_exact_step(gristmill, live, town):
    town.add_provider("Paula", Settings(cheat=Cheat.WRONG_CHECKPOINT))
    number = submit(gristmill)
    url = live.open_door("Paula")
    doors = ("--door", url, "--data", "mine")
    done = gristmill("job", "watch", number, "--cosign", *doors, *BY_DAVE, "--blocks", 45)
    assert done.code == 0
    assert "is not what the work comes to" in done.out
    town.until(number, JobState.WINDOW)
    told = gristmill("job", "dispute", number, *doors, "--yes", *BY_DAVE)
    assert (told.code, told.err) == (0, "")
    ending = documents(told.out)[-1]
    assert ending["schema"] == "gristmill.job.dispute/1"
    assert (ending["ending"], ending["step"], ending["burned"]) == ("Proven", 4, "0")
    assert "the sides disagree about step 4" in told.out
    job = town.market.jobs.find(number)
    assert (job.state, job.reason) == (JobState.OPEN, Reason.WRONG_CHECKPOINT)
    assert town.failures == []


def test_a_right_result_is_not_challenged(gristmill, live, town):
    town.add_provider("Paula", Settings())
    number = town.submit("Dave", town.spec(verification=Verification.ACCEPTANCE))
    doors = ("--door", live.open_door("Paula"), "--data", "mine")
    assert gristmill("job", "dispute", number, *doors, "--yes", *BY_DAVE).code == 1
    town.until(number, JobState.WINDOW)
    done = gristmill("job", "dispute", number, *doors, "--yes", *BY_DAVE)
    assert done.code == 1
    assert "is what the job trains to" in json.loads(done.err)["error"]["message"]
    assert town.market.disputes.dispute_count == 0


def test_a_bid_is_sealed_written_down_and_opened(gristmill, live, town):
    town.add_provider("Paula", Settings())
    town.agents.pop()
    town.fund("Ferdie", GRIST)
    for words in (("register", "--class", "CPU-64=2"), ("security", "20000")):
        assert gristmill("provider", *words, "--from", "//Ferdie", "--yes").code == 0
    number = submit(gristmill)
    by_ferdie = ("--from", "//Ferdie", "--yes", "--json")
    assert gristmill("job", "bid", number, "--price", "30", *by_ferdie).code == 0
    assert gristmill("job", "bid", number, "--price", "31", *by_ferdie).code == 2
    shown = check(gristmill("job", "show", number, "--json").out)["job"]
    assert [(bid["bidder"], bid["isOpen"]) for bid in shown["bids"]] == [
        (dev_address("Ferdie"), False)
    ]
    town.until(number, JobState.REVEALING)
    assert gristmill("job", "bid", number, "--reveal", *by_ferdie).code == 0
    town.until(number, JobState.MATCHED)
    job = town.market.jobs.find(number)
    assert bytes(job.provider) == key_of("Ferdie").public
    kept = [path.name for path in (town.path.parent / "home" / "market").iterdir()]
    assert f"provider-{GENESIS_HASH.hex()[:16]}-{dev_address('Ferdie')}.json" in kept


def test_two_receipts_of_one_place_are_kept_and_reported(gristmill, live, town):
    town.add_provider("Paula", Settings())
    number = submit(gristmill)
    url = live.open_door("Paula")
    town.until(number, JobState.MATCHED)
    town.block()
    desk, data = town.desks["Paula"], town.path.parent / "mine"
    first = desk.offered(number)
    receipt = first.receipt
    forged = type(receipt)(**{**fields(receipt), "units": 7})
    offers = (first, Envelope(forged, signing.sign(key_of("Paula").seed, forged.message())))
    town.agents[-1] = lambda: desk.offer(offers[town.chain.height % 2])
    watch = ("job", "watch", number, "--cosign", "--door", url, "--data", data, *BY_DAVE)
    done = gristmill(*watch, "--blocks", 6)
    assert "the provider signed two receipts of one place: report " in done.out
    files = sorted(data.glob("receipt-*"))
    assert len(files) == 2
    assert gristmill("job", "report-conflict", files[0], files[0], "--yes", *BY_DAVE).code == 2
    done = gristmill("job", "report-conflict", *files, "--yes", *BY_DAVE)
    assert (done.code, done.err) == (0, "")
    job = town.market.jobs.find(number)
    assert (job.state, job.reason) == (JobState.OPEN, Reason.FRAUD)


def fields(receipt):
    return {name: getattr(receipt, name) for name in type(receipt).__annotations__}


def test_a_provider_runs_from_the_command_line_and_takes_up_what_it_had(
    gristmill, live, town, tmp_path
):
    for words in (
        ("register", "--class", "CPU-64=2"), ("security", "20000"), ("offer", "CPU-64", "0.01")
    ):  # fmt: skip
        assert gristmill("provider", *words, "--from", "//Ferdie", "--yes").code == 0
    number = town.submit("Dave", town.spec(verification=Verification.ACCEPTANCE))
    work = (
        "provider", "run", "--data", town.data.path, "--from", "//Ferdie", "--json", "--serve", 0,
        "--memory", tmp_path / "memory.json",
    )  # fmt: skip
    said = []
    for _ in range(30):
        done = gristmill(*work, "--blocks", 10)
        assert done.code == 0, done.err
        said += [one["sentence"] for one in documents(done.out)]
        job = town.market.jobs.find(number)
        if job.state is JobState.MATCHED:
            break
    assert said[:2] == ["Jobs.commit_bid sent", "Jobs.reveal_bid sent"]
    assert bytes(job.provider) == key_of("Ferdie").public


def test_who_cheats_does_so_on_a_development_chain_only(gristmill, live, town):
    live.fake.chain_type = "Live"
    done = gristmill("provider", "run", "--cheat", "vanish", "--from", "//Ferdie")
    assert done.code == 77


def test_a_file_is_open_for_one_agent_only(gristmill, live, town, tmp_path):
    path = tmp_path / "memory.json"
    memory = agents.AgentMemory(
        path,
        genesis=GENESIS_HASH,
        account=key_of("Ferdie").public,
        chance=agents.SystemChance(),
        is_exclusive=True,
    )
    run = ("provider", "run", "--memory", path, "--from", "//Ferdie", "--blocks", 1)
    busy = gristmill(*run)
    assert (busy.code, "another agent has" in busy.err) == (1, True)
    memory.close()
    assert gristmill(*run).code == 0


def test_a_verifier_runs_from_the_command_line(gristmill, live, town):
    assert gristmill("verifier", "join", "5000", "--from", "//Alice", "--yes").code == 0
    found = check(gristmill("verifier", "status", "--json").out)["verifiers"]
    assert [row["account"] for row in found] == [dev_address("Alice")]
    run = ("verifier", "run", "--data", town.data.path, "--from", "//Alice", "--blocks", 2)
    assert gristmill(*run).code == 0


def test_an_organisation_is_made_shown_and_pays(gristmill, live, town):
    done = gristmill("org", "create", "the lab", "--yes", *BY_DAVE)
    assert (done.code, check(done.out)["organisation"]) == (0, 0)
    limits = ("--per-era", "500", "--in-all", "600")
    assert gristmill("org", "member", 0, "//Dave", *limits, "--yes", *BY_DAVE).code == 0
    found = check(gristmill("org", "show", 0, "--json").out)["organisation"]
    assert (found["name"], found["openJobs"]) == ("the lab", 0)
    sent = gristmill("transfer", found["account"], "300", "--yes", *BY_DAVE)
    assert sent.code == 0
    number = submit(gristmill, "--org", 0)
    assert check(gristmill("job", "show", number, "--json").out)["job"]["payer"] == found["account"]
    lines = gristmill("org", "show", 0).out
    assert "open jobs     1" in lines
    assert gristmill("org", "show", 9).code == 66


class Quiet:
    """A session whose console is remembered."""

    def __init__(self):
        self.warned, self.noted = [], []
        self.console = self

    def warn(self, text):
        self.warned.append(text)

    def note(self, text):
        self.noted.append(text)


class Heights:
    height = 5


def test_a_node_that_is_away_is_waited_for_and_told_of_once(monkeypatch):
    monkeypatch.setattr(agents.time, "sleep", lambda _: None)
    session, turns = Quiet(), iter([NodeUnreachable("gone"), TryAgain("busy"), None, True])

    def tick():
        turn = next(turns)
        if isinstance(turn, Exception):
            raise turn
        return turn

    agents.Looker(session, Heights(), None).look_until(tick)
    assert session.warned == ["gone; waiting for it"]
    assert session.noted == ["the node answers again"]


def test_a_fault_of_the_agent_ends_it(monkeypatch):
    monkeypatch.setattr(agents.time, "sleep", lambda _: None)

    def tick():
        raise BadContent("not what it should be")

    with pytest.raises(BadContent):
        agents.Looker(Quiet(), Heights(), None).look_until(tick)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_a_look_end_and_is_handled_as_before_afterwards(monkeypatch, number):
    monkeypatch.setattr(agents.time, "sleep", lambda _: None)
    before, looks = signal.getsignal(number), []

    def tick():
        looks.append(1)
        if len(looks) == 3:
            signal.raise_signal(number)

    agents.Looker(Quiet(), Heights(), None).look_until(tick)
    assert len(looks) == 3
    assert signal.getsignal(number) is before


def test_a_door_that_is_taken_is_named(gristmill, live, town):
    town.add_provider("Paula", Settings())
    port = live.open_door("Paula").rpartition(":")[2]
    done = gristmill("provider", "run", "--from", "//Ferdie", "--serve", port, "--blocks", 1)
    assert done.code == 2
    assert f"port {port} cannot be opened" in done.err


@pytest.mark.parametrize("place", ["", "door", ":80", "80:", "65536", "1e3", "host:port"])
def test_a_door_is_at_a_port(gristmill, live, town, place):
    done = gristmill("provider", "run", "--from", "//Ferdie", "--serve", place, "--blocks", 1)
    assert done.code == 2
    assert "HOST:PORT" in done.err


def test_a_door_may_be_open_to_other_machines(gristmill, live, town):
    run = ("provider", "run", "--from", "//Ferdie", "--serve", "0.0.0.0:0", "--blocks", 1)
    assert gristmill(*run).err.startswith("the door is http://0.0.0.0:")
