"""Whatever is asked of datasets, in whatever order: money has an owner, and copies never win.

People register data and copies of it, answer or not, signal, attest, challenge, use and leave.
After each block every invariant is checked, after each step every deposit; what a use pays is
counted where it arrives, and only a real copy may ever lose for being one.
"""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from runtime.balances import CURATION_POT, HoldReason
from runtime.market.datasets.checks import deposits_of
from runtime.market.datasets.nouns import (
    ATTESTER_ERAS,
    OPENINGS,
    RETIRE_ERAS,
    SIGNAL_ERAS,
    DatasetState,
    OpenedLeaf,
    ParentShare,
    Share,
)
from runtime.market.datasets.registry import commitment_of
from tests.support.datasets import Data, Library, content
from tests.support.governance import GRIST
from tests.support.runtime import PEOPLE, person

names = st.sampled_from(PEOPLE)
LEAVES = 12
ORIGINALS = [Data(content(seed, LEAVES)) for seed in range(3)]
COPIES = [
    Data(b"".join([*data.leaves[3:], *data.leaves[:2], Data(content(9 + n, 1)).leaves[0]]))
    for n, data in enumerate(ORIGINALS)
]
POOL = [*ORIGINALS, *COPIES]
"""Data n, and at n + 3 its copy, turned and with one leaf of its own."""


class Registry(RuleBasedStateMachine):
    """A chain on which people do with datasets what comes to their minds."""

    commits = Bundle("commits")

    @initialize()
    def begin(self) -> None:
        self.library = Library()
        self.module = self.library.module
        ctx = self.library.runtime.ctx
        for parameter in (RETIRE_ERAS, SIGNAL_ERAS, ATTESTER_ERAS):
            parameter.begin(ctx, parameter.low)
        balances = self.library.runtime.balances
        self.before = {name: balances.held(person(name), HoldReason.DEPOSIT) for name in PEOPLE}
        self.salt = 0
        self.library.active("Alice", POOL[0])
        self.library.active("Bob", POOL[3])
        self.library.active("Charlie", POOL[1])

    def numbers(self) -> list[int]:
        return sorted(number for number, _ in self.module.datasets.items())

    def pick(self, choice: int) -> int:
        numbers = self.numbers()
        return numbers[choice % len(numbers)] if numbers else 0

    @rule(target=commits, who=names, which=st.integers(0, 5))
    def somebody_commits(self, who: str, which: int) -> Any:
        self.salt += 1
        salt = self.salt.to_bytes(32, "little")
        mark = commitment_of(POOL[which].root, person(who), salt)
        is_done = self.library.run(who, "commit", mark) == b""
        return (who, which, salt) if is_done else multiple()

    @rule(
        commit=consumes(commits),
        parent=st.none() | st.integers(0, 9),
        share=st.integers(1, 10**9 - 1),
        other=names,
    )
    def somebody_reveals(
        self, commit: tuple[str, int, bytes], parent: int | None, share: int, other: str
    ) -> None:
        who, which, salt = commit
        _, root, _, terms, bond = self.library.reveal_arguments(
            POOL[which],
            royalties=() if parent is None else (Share(person(other), 10**9 - share),),
            parents=() if parent is None else (ParentShare(self.pick(parent), share),),
        )
        number = self.module.dataset_count
        if self.library.run(who, "reveal", root, salt, terms, bond) == b"":
            self.library.data[number] = POOL[which]

    @rule(choice=st.integers(0, 9), who=names)
    def somebody_answers(self, choice: int, who: str) -> None:
        number = self.pick(choice)
        if self.module.datasets.find(number) is None:
            return
        if self.module.find_challenge(number) is not None:
            self.library.run(who, "prove", number, self.library.answers(number))

    @rule()
    def all_that_can_answer_do(self) -> None:
        for number in self.numbers():
            self.somebody_answers(self.numbers().index(number), "Alice")

    @rule(blocks=st.integers(1, 9))
    def blocks_pass(self, blocks: int) -> None:
        self.library.next(blocks)

    @rule()
    def an_era_passes(self) -> None:
        self.library.next_era()

    @rule(choice=st.integers(0, 9), who=names, back=st.integers(-1, 15))
    def somebody_reports(self, choice: int, who: str, back: int) -> None:
        era = max(self.library.era - back, 0)
        self.library.run(who, "report_miss", self.pick(choice), era)

    @rule(choice=st.integers(0, 9), who=names, heir=names, what=st.integers(0, 6))
    def an_owner_acts(self, choice: int, who: str, heir: str, what: int) -> None:
        number = self.pick(choice)
        name, *arguments = (
            ("revoke", number),
            ("set_price", number, 7 * GRIST),
            ("add_bond", number, 3 * GRIST),
            ("withdraw_bond", number),
            ("offer_owner", number, person(heir)),
            ("accept_owner", number),
            ("note_stake",),
        )[what]
        self.library.run(who, name, *arguments)

    @rule(choice=st.integers(0, 9), who=names, amount=st.integers(0, 100 * GRIST))
    def somebody_signals(self, choice: int, who: str, amount: int) -> None:
        self.library.run(who, "signal", self.pick(choice), amount)

    @rule(choice=st.integers(0, 9), who=names, amount=st.integers(0, 100 * GRIST))
    def somebody_takes_a_signal_back(self, choice: int, who: str, amount: int) -> None:
        number = self.pick(choice)
        signal = self.module.signals[number, person(who)]
        self.library.run(who, "unsignal", number, amount if amount % 2 else signal.amount)

    @rule(choice=st.integers(0, 9), who=names)
    def a_curator_takes_what_is_free(self, choice: int, who: str) -> None:
        self.library.run(who, "claim_fees", self.pick(choice))
        self.library.run(who, "free_signal", self.pick(choice), person(who))

    @rule(choice=st.integers(0, 9), who=names, what=st.integers(0, 4))
    def an_attester_acts(self, choice: int, who: str, what: int) -> None:
        number = self.pick(choice)
        name, *arguments = (
            ("bond", 5_000 * GRIST),
            ("attest", number, bytes(32)),
            ("retract", number),
            ("leave",),
            ("withdraw",),
        )[what]
        self.library.run(who, name, *arguments)

    @rule(choice=st.integers(0, 9), who=names, payer=names, fee=st.integers(0, 1_000 * GRIST))
    def a_job_pays(self, choice: int, who: str, payer: str, fee: int) -> None:
        number = self.pick(choice)
        dataset = self.module.datasets.find(number)
        balances = self.library.runtime.balances
        if dataset is None or balances.spendable(person(payer), keep_alive=True) <= 2 * fee:
            return
        balances.hold(person(payer), HoldReason.ESCROW, fee)
        shares = dataset.royalties or (Share(dataset.owner, 10**9),)
        watched = [*dict.fromkeys([*(entry.account for entry in shares), CURATION_POT])]
        before = {account: self.library.chain.free(account) for account in watched}
        self.module.pay_use(number, 1, person(who), person(payer), fee)
        gains = sum(self.library.chain.free(account) - had for account, had in before.items())
        assert gains == fee, "what is paid arrives, to the grain"
        assert balances.held(person(payer), HoldReason.ESCROW) == 0

    @rule(earlier=st.integers(0, 9), later=st.integers(0, 9), who=names)
    def somebody_challenges(self, earlier: int, later: int, who: str) -> None:
        self.library.run(who, "challenge", self.pick(earlier), self.pick(later))

    @rule(choice=st.integers(0, 3), places=st.integers(1, 64))
    def an_owner_shows_leaves(self, choice: int, places: int) -> None:
        cases = dict(self.module.cases.items())
        if not cases:
            return
        number = sorted(cases)[choice % len(cases)]
        case = cases[number]
        if self.library.runtime.session.current_index < case.draw_epoch:
            return
        data = self.library.data[case.later]
        for place in range(min(places, OPENINGS)):
            if not case.opened >> place & 1:
                answer = data.answer(self.module.drawn_leaf(number, place))
                piece = OpenedLeaf(place, answer.leaf, answer.path)
                self.library.run("Alice", "open_leaves", number, (piece,))

    @rule(choice=st.integers(0, 3))
    def a_challenger_finds_leaves(self, choice: int) -> None:
        cases = dict(self.module.cases.items())
        if not cases:
            return
        number = sorted(cases)[choice % len(cases)]
        case = cases[number]
        if self.library.runtime.session.current_index < case.draw_epoch:
            return
        earlier, later = self.library.data[case.earlier], self.library.data[case.later]
        for match in self.library.matches(number, earlier, later):
            if self.module.cases.find(number) is None:
                verdict = self.module.datasets[case.later].state
                assert verdict is DatasetState.DUPLICATE
                assert POOL.index(earlier) % 3 == POOL.index(later) % 3, "only copies are equal"
                return
            self.library.run("Bob", "match", number, (match,))

    @rule(choice=st.integers(0, 3))
    def somebody_ends_a_challenge(self, choice: int) -> None:
        self.library.run("Eve", "conclude_case", choice)

    @invariant()
    def every_deposit_is_owned_by_one_record(self) -> None:
        balances, owned = self.library.runtime.balances, deposits_of(self.module)
        for name in PEOPLE:
            who = person(name)
            deposit = balances.held(who, HoldReason.DEPOSIT) - self.before[name]
            assert deposit == owned[who]
            service = balances.held(who, HoldReason.SERVICE)
            assert service == self.module.attesters[who].bond

    @invariant()
    def no_root_is_sold_twice(self) -> None:
        live = [one.root for one in self.module.datasets.values() if one.is_live]
        assert len(live) == len(set(live))

    def teardown(self) -> None:
        if hasattr(self, "library"):
            self.library.next(2)


TestRegistry = Registry.TestCase
TestRegistry.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
