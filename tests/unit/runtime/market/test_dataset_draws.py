"""What a challenge finds, and whom a royalty tree pays, by computation."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ext import hashing
from runtime.frame.parameters import PERBILL
from runtime.market.datasets.nouns import (
    EQUAL_MIN,
    MISS_ERAS,
    OPENINGS,
    POSSESSION_TAG,
    PROBES,
    ROYALTIES_MAX,
    Dataset,
    DatasetState,
    ParentShare,
    Share,
)
from runtime.market.datasets.possession import (
    Clock,
    compute_detection,
    draw_index,
    draw_indices,
    find_challenge,
    has_answered,
    is_answering,
    is_missed,
    with_answer,
    with_miss,
)
from runtime.market.datasets.royalties import flatten, split_fee
from runtime.market.nouns import NOBODY
from runtime.primitives import AccountId
from tests.support.runtime import stranger

CLOCK = Clock(epoch_blocks=20, era_blocks=60, answer_blocks=600)
PUBLIC = Clock(epoch_blocks=1_800, era_blocks=86_400, answer_blocks=600)


def made(**changes: object) -> Dataset:
    parts: dict[str, object] = {
        "owner": stranger(1), "root": bytes(32), "size": 20 * 1024, "licence": bytes(32),
        "price": 1, "royalties": (), "state": DatasetState.ACTIVE, "committed": 1, "order": 0,
        "epoch": 0, "bond": 1, "since": 3, "rent_era": 3, "proof_era": 3, "proofs": 1,
        "misses": (), "cases": 0, "heir": NOBODY, "ended": 0,
    }  # fmt: skip
    return Dataset(**{**parts, **changes})  # type: ignore[arg-type]  # whatever a case needs


def test_the_chance_to_be_found_is_what_the_rules_promise() -> None:
    assert compute_detection(PERBILL // 10, 1) == 343_900_000, "34 % an era of a tenth"
    assert 700_000_000 < compute_detection(PERBILL // 100, 30) < 701_000_000, "70 % in 30 eras"
    assert compute_detection(0, 30) == 0
    assert compute_detection(PERBILL, 1) == PERBILL


def test_draws_find_missing_leaves_as_often_as_computed() -> None:
    eras, leaves = 4_000, 1_000
    found = {100: 0, 10: 0}
    for era in range(eras):
        drawn = draw_indices(hashing.blake2b_256(era.to_bytes(4, "little")), 7, leaves)
        for missing in found:
            found[missing] += any(index < missing for index in drawn)
    assert abs(found[100] * PERBILL // eras - 343_900_000) < 25_000_000
    assert abs(found[10] * PERBILL // eras - compute_detection(PERBILL // 100, 1)) < 10_000_000


def test_draws_differ_by_seed_number_and_place() -> None:
    count = 1 << 20
    base = draw_indices(bytes(32), 0, count)
    assert len(set(base)) == PROBES
    assert base != draw_indices(bytes(32), 1, count)
    assert base != draw_indices(b"\x01" * 32, 0, count)
    assert base[0] == draw_index(POSSESSION_TAG, bytes(32), 0, 0, count)


@given(st.integers(1, 1 << 20), st.integers(0, 1 << 31))
def test_every_draw_is_a_leaf(count: int, number: int) -> None:
    assert all(0 <= index < count for index in draw_indices(bytes(32), number, count))


def test_sixty_hundredths_rounded_up_make_a_duplicate() -> None:
    assert EQUAL_MIN == -(-60 * OPENINGS // 100) == 39


def test_an_era_s_challenge_is_open_for_ten_minutes_or_a_short_epoch() -> None:
    assert PUBLIC.closes(2) - (1 + 2 * 86_400) == 600
    assert CLOCK.closes(2) - (1 + 2 * 60) == 20
    seeds = (b"a" * 32, b"b" * 32)
    for height in range(1 + 4 * 60, 1 + 5 * 60):
        challenge = find_challenge(0, made(), CLOCK, height, seeds)
        assert (challenge is not None) == (height < 1 + 4 * 60 + 20)
        assert challenge is None or CLOCK.epoch(height) == CLOCK.epoch(1 + 4 * 60)


def test_nothing_is_asked_in_the_era_of_the_first_answer_or_after_the_end() -> None:
    seeds = (b"a" * 32, b"b" * 32)
    assert find_challenge(0, made(), CLOCK, 1 + 3 * 60, seeds) is None
    ended = made(state=DatasetState.REVOKED)
    assert find_challenge(0, ended, CLOCK, 1 + 4 * 60, seeds) is None


def test_the_first_challenge_uses_the_second_epoch_s_randomness_in_both_epochs() -> None:
    pending = made(state=DatasetState.PENDING, epoch=5)
    early = find_challenge(0, pending, CLOCK, CLOCK.epoch_start(6), (b"6" * 32, b"7" * 32))
    late = find_challenge(0, pending, CLOCK, CLOCK.epoch_start(8) - 1, (b"7" * 32, b"8" * 32))
    assert early is not None
    assert early == late
    assert early.indices == draw_indices(b"7" * 32, 0, 20)
    for height in (CLOCK.epoch_start(6) - 1, CLOCK.epoch_start(8)):
        assert find_challenge(0, pending, CLOCK, height, (b"7" * 32, b"8" * 32)) is None


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30, unique=True))
def test_answers_are_remembered_for_fourteen_eras_and_no_other_is(eras: list[int]) -> None:
    dataset = made(since=0, proof_era=0, proofs=1)
    answered = sorted(eras)
    for era in answered:
        dataset = with_answer(dataset, era)
    assert dataset.proofs < 1 << MISS_ERAS
    for era in range(45):
        is_kept = answered[-1] - MISS_ERAS < era <= answered[-1]
        was_answered = era in answered or era == 0
        assert has_answered(dataset, era) == (is_kept and was_answered)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 59))
def test_a_miss_can_be_reported_exactly_for_closed_recent_unanswered_eras(
    answers: list[bool], offset: int
) -> None:
    dataset = made(since=0, proof_era=0, proofs=1)
    for era, is_answered in enumerate(answers, start=1):
        if is_answered:
            dataset = with_answer(dataset, era)
    now = len(answers)
    height = 1 + now * 60 + offset
    for era in range(now + 2):
        is_over = era < now or (era == now and offset >= 20)
        is_answered = era == 0 or era > now or answers[era - 1]
        expected = 0 < era <= now and is_over and now - era < MISS_ERAS and not is_answered
        assert is_missed(dataset, CLOCK, era, height) == expected
    newest = now if offset >= 20 else now - 1
    is_proven = answers[-1] or newest == 0 or answers[newest - 1]
    assert is_answering(dataset, CLOCK, height) == is_proven


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20, unique=True))
def test_only_misses_of_the_last_fourteen_eras_are_kept(eras: list[int]) -> None:
    dataset = made()
    for now in sorted(eras):
        dataset = with_miss(dataset, now, now)
        recent = [era for era in eras if now - MISS_ERAS < era <= now]
        assert dataset.misses == tuple(sorted(recent)[-3:])


# Royalties


@st.composite
def trees(draw: st.DrawFn) -> tuple[tuple[Share, ...], tuple[ParentShare, ...]]:
    """Accounts and parents whose shares sum to 10^9."""
    count = draw(st.integers(1, 12))
    parents = draw(st.integers(0, min(4, count)))
    cuts = draw(st.lists(st.integers(1, PERBILL - 1), min_size=count - 1, max_size=count - 1,
                         unique=True))  # fmt: skip
    marks = [0, *sorted(cuts), PERBILL]
    parts = [after - before for before, after in pairwise(marks)]
    names = draw(st.lists(st.integers(0, 11), min_size=count, max_size=count))
    accounts = tuple(
        Share(stranger(name), part)
        for name, part in zip(names[parents:], parts[parents:], strict=True)
    )
    return accounts, tuple(ParentShare(n, part) for n, part in enumerate(parts[:parents]))


@settings(max_examples=60)
@given(st.lists(trees(), min_size=1, max_size=8), st.integers(0, 1 << 63), st.data())
def test_however_deep_a_tree_its_shares_and_every_fee_sum_exactly(
    stated: list[tuple[tuple[Share, ...], tuple[ParentShare, ...]]], fee: int, data: st.DataObject
) -> None:
    flat: list[tuple[Share, ...]] = [(Share(stranger(20), PERBILL),)] * 4
    for royalties, parents in stated:
        chosen = tuple(
            ParentShare(data.draw(st.integers(0, len(flat) - 1)), parent.share)
            for parent in parents
        )
        tree = flatten(royalties, chosen, flat.__getitem__)
        assert sum(entry.share for entry in tree) == PERBILL
        assert all(entry.share > 0 for entry in tree)
        accounts = [entry.account for entry in tree]
        assert accounts == sorted(set(accounts))
        assert len(tree) <= ROYALTIES_MAX
        flat.append(tree)
        paid = split_fee(fee, tree, stranger(99))
        assert sum(amount for _, amount in paid) == fee
        for entry, (account, amount) in zip(tree, paid, strict=True):
            assert account == entry.account
            assert abs(amount - fee * entry.share // PERBILL) <= 1


def test_without_a_tree_the_owner_is_paid() -> None:
    owner = AccountId(b"o" * 32)
    assert flatten((), (), lambda _: ()) == ()
    assert split_fee(7, (), owner) == ((owner, 7),)
