"""An auditor computes the schedule alone, and sees each grain that was minted beside it."""

from dataclasses import replace

import pytest

from chain.audit import emission as audit
from chain.audit.emission import prove_emission
from chain.audit.source import open_source
from chain.audit.supply import prove_supply
from chain.genesis import read_spec, start_chain
from runtime.balances import BurnCause, MintCause
from runtime.emission.module import Emission
from runtime.emission.schedule import Pool, compute_budget, planned_starts
from runtime.market.credits import Credits
from runtime.market.rewards import WorkRewards
from runtime.market.waterfalls import FeePaid, JobSettled
from tests.support.runtime import ROOT
from tests.support.solo import Solo

ERA_BLOCKS = 8
BLOCKS = 3 * ERA_BLOCKS + 2


def emitting_spec() -> str:
    """The test chain with the public phases, on a smaller scale."""
    public = (ROOT / "genesis/public.toml").read_text()
    table = public[public.index("[emission]") : public.index("# The allocation.")]
    table = table.replace('"385000000"', '"2000000"').replace('"230000"', '"1000"')
    return read_spec("test") + "\n" + table


def grow(path, blocks=BLOCKS, text=None):
    solo = Solo(path, start=start_chain(text or emitting_spec()))
    for number in range(blocks):
        if number % 5 == 2:
            solo.submit(solo.transfer("Alice", "Bob", 1_000_000_000 + number))
        if number % 7 == 3:
            solo.submit(solo.sign("Bob", solo.calls.encode("Balances", "burn", 10**9, False)))
        solo.step()
    solo.close()
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return grow(tmp_path_factory.mktemp("emitting"))


def prove(home):
    source = open_source(home)
    try:
        return prove_emission(source)
    finally:
        source.close()


def test_every_era_is_proven(home):
    report = prove(home)
    assert (report.what, report.replay.height) == ("", BLOCKS)
    assert [account.era for account in report.eras] == [0, 1, 2, 3]
    plan = report.rules.plan
    starts = planned_starts(plan)
    for account in report.eras:
        assert account.budget == compute_budget(plan, starts, account.era)
        assert account.minted[Pool.TREASURY] == account.allowed.treasury
        assert account.minted[Pool.COMPUTE] == account.minted[Pool.DATA] == 0, "nobody calls yet"
    paid = [account.minted[Pool.VALIDATION] for account in report.eras]
    assert all(paid[:3])
    assert paid[3] == 0, "an era is paid when it is over"
    assert [account.cancelled is None for account in report.eras] == [False, False, True, True]
    for account in report.eras[:2]:
        assert account.cancelled == account.budget - account.total > 0


def test_the_supply_counts_what_emission_minted(home):
    source = open_source(home)
    report = prove_supply(source)
    source.close()
    assert report.what == ""
    minted = prove(home).minted
    causes = ("compute", "data", "staking", "treasury")
    assert sum(report.minted[cause] for cause in causes) == minted > 0


def test_a_chain_without_emission_is_proven_too(tmp_path):
    report = prove(grow(tmp_path, 10, read_spec("test")))
    assert (report.what, report.eras, report.rules) == ("", [], None)


@pytest.mark.parametrize(
    ("name", "part", "more", "sentence"),
    [
        ("Minted", "amount", 1, "more was minted for staking than it paid"),
        ("Minted", "amount", -1, "grains were minted for staking"),
        ("EraPaid", "validator_payout", -1, "more was minted for staking than it paid"),
    ],
)
def test_without_emission_staking_mints_what_arrived_and_no_more_than_it_paid(
    tmp_path, monkeypatch, name, part, more, sentence
):
    decode = audit.EventReader.decode

    def altered(self, receipt):
        return [
            replace(event, fields={**event.fields, part: event.fields[part] + more})
            if event.name == name else event
            for event in decode(self, receipt)
        ]  # fmt: skip

    home = grow(tmp_path, ERA_BLOCKS + 2, read_spec("test"))
    monkeypatch.setattr(audit.EventReader, "decode", altered)
    assert sentence in prove(home).what


def test_an_auditor_with_another_schedule_disagrees_in_the_first_block(home, monkeypatch):
    monkeypatch.setattr(audit, "compute_budget", lambda *_: 999 * 10**9)
    report = prove(home)
    assert report.replay.finding.height == 1
    assert "era 0 opened with 1000000000000 grains" in report.what


FAULTS = {
    "a grain beyond the pool": (
        lambda said: {**said, "amount": said["amount"] + 1} if said.get("pool") == 3 else said,
        "the pool treasury of era 0 minted",
    ),
    "an era of another number": (
        lambda said: {**said, "era": said["era"] + 7} if "era" in said else said,
        "era 7 was opened in era 0",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_event_that_says_otherwise_is_seen(home, monkeypatch, fault):
    change, sentence = FAULTS[fault]
    decode = audit.EventReader.decode

    def altered(self, receipt):
        return [
            replace(event, fields=change(event.fields)) if event.module == "Emission" else event
            for event in decode(self, receipt)
        ]

    monkeypatch.setattr(audit.EventReader, "decode", altered)
    report = prove(home)
    assert report.replay.finding.height == 1
    assert sentence in report.what


def test_a_mint_of_a_cause_that_no_pool_made_is_seen(tmp_path, monkeypatch):
    """A module that mints for a pool's cause by itself passes every sum but the auditor's."""
    opened = Emission._open

    def loose(self, era):
        opened(self, era)
        if era == 1:
            self.balances.mint(MintCause.TREASURY, self.ctx.block.proposer, 5)

    monkeypatch.setattr(Emission, "_open", loose)
    monkeypatch.setattr(Emission, "guards", lambda _self: iter(()))
    report = prove(grow(tmp_path, ERA_BLOCKS + 1))
    assert report.replay.finding.height == ERA_BLOCKS + 1
    assert "minted for treasury" in report.what


def test_a_budget_above_the_schedule_is_seen(tmp_path, monkeypatch):
    schedule = "runtime.emission.module.compute_budget"
    monkeypatch.setattr(schedule, lambda *args: compute_budget(*args) + 1)
    report = prove(grow(tmp_path, 2))
    assert report.replay.finding.height == 1
    assert "the schedule has" in report.what


@pytest.mark.parametrize(
    ("kind", "part", "sentence"),
    [
        ("FeesShared", "burned", "grains were burned for fee, the events say"),
        ("Burned", "amount", "grains were burned without a cause"),
    ],
)
def test_a_burn_that_no_cause_accounts_for_is_seen(home, monkeypatch, kind, part, sentence):
    decode = audit.EventReader.decode

    def altered(self, receipt):
        return [
            replace(event, fields={**event.fields, part: event.fields[part] + 1})
            if event.name == kind else event
            for event in decode(self, receipt)
        ]  # fmt: skip

    monkeypatch.setattr(audit.EventReader, "decode", altered)
    report = prove(home)
    assert sentence in report.what


def test_the_supply_is_not_proven_by_sums_alone(tmp_path, monkeypatch):
    """A grain minted for the wrong cause keeps every sum; the proof of the supply sees it."""
    opened = Emission._open

    def misnamed(self, era):
        opened(self, era)
        self.balances.mint(MintCause.DATA, self.ctx.block.proposer, 5)

    monkeypatch.setattr(Emission, "_open", misnamed)
    monkeypatch.setattr(Emission, "guards", lambda _self: iter(()))
    source = open_source(grow(tmp_path, 1))
    report = prove_supply(source)
    source.close()
    assert report.what == "block 1: 5 grains were minted for data, 0 are accounted for"


def overpaying(monkeypatch):
    """Let the first block of the third era pay two eras' work at once, as a fault might."""
    hook = Emission.on_initialize

    def pays(self):
        weight = hook(self)
        if self.ctx.block.height == 2 * ERA_BLOCKS + 1:
            for era in (1, 2):
                room = self.work_room(Pool.COMPUTE, era=era)
                self.mint_work(Pool.COMPUTE, self.ctx.block.proposer, room, era=era)
        return weight

    monkeypatch.setattr(Emission, "on_initialize", pays)


def test_what_waits_for_a_breaker_is_proven_to_come_once(tmp_path, monkeypatch):
    overpaying(monkeypatch)
    home = grow(tmp_path, 4 * ERA_BLOCKS)
    report = prove(home)
    assert report.what == ""
    third = report.eras[2]
    assert third.minted[Pool.COMPUTE] == third.allowed.compute > 0
    decode = audit.EventReader.decode

    def altered(self, receipt):
        return [
            replace(event, fields={**event.fields, "amount": event.fields["amount"] + 1})
            if event.name == "WaitingMinted" else event
            for event in decode(self, receipt)
        ]  # fmt: skip

    monkeypatch.setattr(audit.EventReader, "decode", altered)
    assert "that did not wait" in prove(home).what


def settling(monkeypatch, told):
    """Let the third block burn a job fee of 5 grains of its author, and tell of `told`."""

    def settles(self):
        if self.ctx.block.height == 3:
            who = self.ctx.block.proposer
            self.balances.destroy(BurnCause.JOB_FEE, who, 5, keep_alive=True)
            fee = FeePaid(told, 0, 0, 0, 0)
            self.emit(JobSettled(1, 0, who, who, told, 0, 0, fee, 0, 0))
        return 0

    monkeypatch.setattr(WorkRewards, "on_initialize", settles)


@pytest.mark.parametrize(
    ("told", "sentence"), [(5, ""), (4, "5 grains were burned for job_fee, the events say 4")]
)
def test_a_job_fee_is_burned_as_its_waterfall_says(tmp_path, monkeypatch, told, sentence):
    settling(monkeypatch, told)
    found = prove(grow(tmp_path, 4)).what
    assert sentence in found
    assert bool(found) == bool(sentence)


def test_credits_that_no_job_was_given_are_seen(tmp_path, monkeypatch):
    def mints(self):
        if self.ctx.block.height == 2:
            self.balances.mint(MintCause.CREDIT, self.ctx.block.proposer, 5)
        return 0

    monkeypatch.setattr(WorkRewards, "on_initialize", mints)
    monkeypatch.setattr(Credits, "guards", lambda _self: iter(()))
    assert "5 grains were minted for credit, 0 are accounted for" in prove(grow(tmp_path, 2)).what


def test_what_owners_burned_is_held_against_their_calls(tmp_path, monkeypatch):
    """Money of somebody that a hook burns is nobody's own wish."""

    def burns(self):
        if self.ctx.block.height == 2:
            who = self.ctx.block.proposer
            self.balances.destroy(BurnCause.OWNER, who, 5, keep_alive=True)
        return 0

    monkeypatch.setattr(WorkRewards, "on_initialize", burns)
    assert (
        "5 grains were burned for owner, the events of calls say 0" in prove(grow(tmp_path, 2)).what
    )
