"""Whatever is asked of emission and vesting, in whatever order: pools, rights and locks hold.

A model keeps its own books: what each era minted for each pool, by its own schedule, and what each
grant has locked, slice by slice of time.
"""

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ext import store
from runtime.balances import SLASH_POT, FreezeReason, HoldReason, MoveCause
from runtime.emission.nouns import CAUSES, EraClosedAlready, PoolExhausted
from runtime.emission.schedule import Pool, compute_budget
from runtime.executive import Executive
from runtime.frame.context import NO_BLOCK
from runtime.frame.errors import CallError
from runtime.frame.origins import ROOT, Signed
from runtime.genesis import build_genesis
from tests.support.emission import GRIST, public_table, rules_of
from tests.support.runtime import person, spec_of

WHO = [person(name) for name in ("Alice", "Bob", "Charlie")]
RULES = rules_of(public_table(), issued=6_000_000 * GRIST)
FAST = replace(
    RULES,
    plan=replace(
        RULES.plan,
        phases=(
            replace(RULES.plan.phases[0], eras_max=50, gate=10 * GRIST, gate_age=29),
            replace(RULES.plan.phases[1], eras_max=4, gate=0),
            RULES.plan.phases[2],
        ),
    ),
)
SPEC = replace(spec_of("dev"), emission=FAST)
ENTRIES = build_genesis(SPEC).entries
ERA = 60
people = st.sampled_from(WHO)
amounts = st.integers(1, 5_000 * GRIST)


class Economy(RuleBasedStateMachine):
    """A chain in which only emission and vesting act."""

    @initialize()
    def begin(self) -> None:
        self.runtime = Executive().runtime
        self.view = store.State.from_entries(ENTRIES).overlay()
        self.height, self.era = 0, -1
        self.minted: dict[tuple[int, Pool], int] = {}
        self.burned: dict[int, int] = {}
        self.ids: list[tuple[Any, int]] = []
        self.go(1)

    def go(self, height: int) -> None:
        """Begin the block at a height, with the hooks that matter here."""
        runtime, self.height = self.runtime, height
        runtime.ctx.enter(self.view, replace(NO_BLOCK, height=height))
        runtime.deadlines.on_initialize()
        runtime.emission.on_initialize()
        if height == 1 + self.now() * ERA:
            treasury = runtime.emission.records[self.now()].treasury_minted
            self.minted[self.now(), Pool.TREASURY] = treasury

    def now(self) -> int:
        return (self.height - 1) // ERA

    @rule(blocks=st.integers(1, 40))
    def blocks_pass(self, blocks: int) -> None:
        for height in range(self.height + 1, self.height + 1 + blocks):
            self.go(height)

    @rule(eras=st.integers(1, 12))
    def eras_pass(self, eras: int) -> None:
        for era in range(self.now() + 1, self.now() + 1 + eras):
            self.go(1 + era * ERA)

    @rule(pool=st.sampled_from([Pool.COMPUTE, Pool.DATA]), who=people,
          amount=st.integers(1, 80_000 * GRIST))  # fmt: skip
    def work_is_proven(self, pool: Pool, who: Any, amount: int) -> None:
        room = self.runtime.emission.work_room(pool)
        try:
            self.runtime.emission.mint_work(pool, who, amount)
        except PoolExhausted:
            assert amount > room
        else:
            assert amount <= room
            self.note(self.now(), pool, amount)

    @rule(back=st.integers(-1, 3), who=people, amount=st.integers(1, 40_000 * GRIST))
    def stakers_are_paid(self, back: int, who: Any, amount: int) -> None:
        era = max(self.now() - back, 0)
        try:
            self.runtime.emission.mint_validation(era, who, amount)
        except EraClosedAlready:
            assert era not in (self.now(), self.now() - 1)
        except PoolExhausted:
            spent = self.minted.get((era, Pool.VALIDATION), 0)
            assert spent + amount > self.runtime.emission.records[era].validation
        else:
            self.note(era, Pool.VALIDATION, amount)

    @rule(amount=st.integers(1, 400 * GRIST))
    def a_job_burns_its_fee(self, amount: int) -> None:
        self.runtime.emission.note_job_fee(amount)
        self.burned[self.now()] = self.burned.get(self.now(), 0) + amount

    @rule(phase=st.integers(0, 2), move=st.integers(-25_000_000, 25_000_000))
    def a_vote_moves_the_split(self, phase: int, move: int) -> None:
        before = self.runtime.emission._phase(phase).shares
        shares = (before[0] - move, before[1], before[2] + move, before[3])
        try:
            self.runtime.emission.set_split(ROOT, phase, *shares)
        except (CallError, ValueError):
            assert abs(move) > 20_000_000 or self.runtime.emission.split_changed > self.now() or (
                abs(shares[0] - FAST.plan.phases[phase].compute) > 100_000_000
            )  # fmt: skip
        else:
            first = FAST.plan.phases[phase].shares
            assert abs(move) <= 20_000_000
            assert max(abs(new - old) for new, old in zip(shares, first, strict=True)) <= 10**8

    @rule(granter=people, recipient=people, amount=st.integers(GRIST, 3_000 * GRIST),
          cliff=st.integers(0, 200), more=st.integers(1, 400), step=st.integers(1, 90),
          has_revoker=st.booleans())  # fmt: skip
    def a_grant_is_made(
        self, granter: Any, recipient: Any, amount: int, cliff: int, more: int, step: int,
        has_revoker: bool,
    ) -> None:  # fmt: skip
        vesting, duration = self.runtime.vesting, cliff + more
        mark = self.view_mark()
        try:
            vesting.offer(Signed(granter), recipient, amount, self.height, cliff, duration,
                          min(step, duration), WHO[2] if has_revoker else None)  # fmt: skip
            number = vesting.next_id - 1
            vesting.accept(Signed(recipient), number)
        except CallError:
            self.runtime.ctx.revert(mark)
        else:
            self.runtime.ctx.commit()
            self.ids.append((recipient, number))

    def view_mark(self) -> int:
        return self.runtime.ctx.checkpoint()

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), is_collected=st.booleans())
    def a_grant_is_revoked(self, data: Any, is_collected: bool) -> None:
        who, number = data.draw(st.sampled_from(self.ids))
        self.attempt("collect" if is_collected else "revoke", WHO[2], who, number)

    @rule(who=people)
    def somebody_asks_what_is_due(self, who: Any) -> None:
        self.attempt("vest", who)

    def attempt(self, name: str, signer: Any, *arguments: Any) -> None:
        mark = self.view_mark()
        try:
            getattr(self.runtime.vesting, name)(Signed(signer), *arguments)
        except CallError:
            self.runtime.ctx.revert(mark)
        else:
            self.runtime.ctx.commit()

    @rule(who=people, amount=amounts)
    def money_is_staked_and_slashed(self, who: Any, amount: int) -> None:
        balances, vesting = self.runtime.balances, self.runtime.vesting
        mark = self.view_mark()
        try:
            balances.hold(who, HoldReason.STAKE, amount)
        except CallError:
            self.runtime.ctx.revert(mark)
            return
        self.runtime.ctx.commit()
        locked, free = vesting.locked(who), balances.spendable(who, keep_alive=False)
        covered = self.frozen(who) == locked
        balances.take_held(MoveCause.SLASH, who, HoldReason.STAKE, SLASH_POT, amount)
        assert vesting.consume_locked(who, amount) == min(amount, locked)
        assert vesting.locked(who) == locked - min(amount, locked)
        if covered and locked >= amount:
            assert balances.spendable(who, keep_alive=False) == free

    def frozen(self, who: Any) -> int:
        entries = self.runtime.balances.freezes[who]
        return sum(entry.amount for entry in entries if entry.id == FreezeReason.VESTING)

    def note(self, era: int, pool: Pool, amount: int) -> None:
        self.minted[era, pool] = self.minted.get((era, pool), 0) + amount

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "runtime"):
            return
        runtime = self.runtime
        for module in (runtime.balances, runtime.vesting, runtime.emission):
            broken = [c.sentence for c in (*module.guards(), *module.invariants()) if not c.holds]
            assert broken == []
        for pool in Pool:
            told = sum(amount for (_, of), amount in self.minted.items() if of is pool)
            assert runtime.balances.minted[CAUSES[pool]] == told

    @invariant()
    def no_era_passed_its_budget(self) -> None:
        if not hasattr(self, "runtime"):
            return
        starts = (0, *self.runtime.emission.phase_starts)
        for era in range(self.now() + 1):
            total = sum(self.minted.get((era, pool), 0) for pool in Pool)
            assert total <= compute_budget(FAST.plan, starts, era)


TestEconomy = Economy.TestCase
TestEconomy.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
