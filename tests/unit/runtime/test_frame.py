"""Declarations: what is understood, and that everything else is an error at import."""

from enum import IntEnum
from typing import Annotated

import pytest

from ext import hashing, store
from runtime.arithmetic import split_exact
from runtime.frame.call import call
from runtime.frame.context import NO_BLOCK, Context
from runtime.frame.declared import Choice, Most, Record, make_choice, wire_of
from runtime.frame.dispatch import Dispatcher
from runtime.frame.errors import CallError, DeclarationError, InvalidTransaction
from runtime.frame.events import Event
from runtime.frame.module import Module
from runtime.frame.origins import Signed
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import U8, U32, AccountId, Amount, Balance
from runtime.runtime import register


class Colour(IntEnum):
    """A choice."""

    RED = 0
    BLUE = 2


class Pair(Record):
    """Two things."""

    colour: Colour
    parts: Annotated[tuple[U8, ...], Most(3)]
    maybe: U32 | None


class Toy(Module, index=77, events=(), errors=()):
    """A module with one item of each kind."""

    count: StorageValue[U32] = stored(default=0)
    needed: StorageValue[Pair] = stored()
    bonds: StorageMap[AccountId, Balance] = stored(default=0)
    pairs: StorageMap[U32, Pair] = stored(hasher=Hasher.TWOX_64_CONCAT, name="Couples")
    grid: StorageMap[tuple[U8, Colour, AccountId], U32] = stored(
        default=0, hasher=(Hasher.IDENTITY, Hasher.TWOX_64_CONCAT, Hasher.BLAKE2_128_CONCAT)
    )
    marks: StorageMap[U8, U8] = stored(default=0, is_kept=True)


@pytest.fixture
def toy() -> Toy:
    module = Toy(Context())
    module.ctx.enter(store.State.empty().overlay(), NO_BLOCK)
    return module


WHO = AccountId(b"w" * 32)
PAIR = Pair(Colour.BLUE, (1, 2), None)


def test_a_value_stands_under_substrate_s_key_and_its_default_is_absence(toy: Toy) -> None:
    key = hashing.twox_128(b"Toy") + hashing.twox_128(b"Count")
    toy.count += 7
    assert (toy.count, toy.ctx.state.get(key)) == (7, b"\x07\x00\x00\x00")
    toy.count = 0
    assert (toy.count, toy.ctx.state.get(key)) == (0, None)


def test_a_map_stands_under_hash_and_key_and_its_default_is_absence(toy: Toy) -> None:
    prefix = hashing.twox_128(b"Toy") + hashing.twox_128(b"Bonds")
    toy.bonds[WHO] += 5
    assert toy.bonds.storage_key(WHO) == prefix + hashing.blake2b_128(WHO) + WHO
    assert (list(toy.bonds.items()), WHO in toy.bonds) == ([(WHO, 5)], True)
    toy.bonds[WHO] -= 5
    assert (list(toy.bonds.values()), WHO in toy.bonds, toy.bonds.find(WHO)) == ([], False, None)


def test_a_key_of_several_parts_is_hashed_part_by_part(toy: Toy) -> None:
    prefix = hashing.twox_128(b"Toy") + hashing.twox_128(b"Grid")
    tail = hashing.twox_64(b"\x02") + b"\x02" + hashing.blake2b_128(WHO) + WHO
    toy.grid[7, Colour.BLUE, WHO] += 5
    assert toy.grid.storage_key((7, Colour.BLUE, WHO)) == prefix + b"\x07" + tail
    assert list(toy.grid.items()) == [((7, Colour.BLUE, WHO), 5)]
    toy.grid[7, Colour.BLUE, WHO] = 0
    assert (7, Colour.BLUE, WHO) not in toy.grid


def test_a_key_with_a_part_too_few_names_no_entry(toy: Toy) -> None:
    with pytest.raises(KeyError, match="3 parts"):
        toy.grid.storage_key((7, Colour.BLUE))  # type: ignore[arg-type]  # the point of the test


def test_entries_that_share_their_first_parts_are_walked_and_cleared_alone(toy: Toy) -> None:
    keys = [
        (row, Colour.RED, AccountId(bytes((place,)) * 32)) for row in (1, 2) for place in (1, 2)
    ]
    for number, key in enumerate(keys):
        toy.grid[key] = number + 1
    ordered = [entry for entry in toy.grid.items() if entry[0][0] == 1]
    assert toy.grid.walk(1, limit=9) == ordered
    assert toy.grid.walk(1, limit=1) == ordered[:1]
    assert toy.grid.walk(1, limit=9, after=ordered[0][0]) == ordered[1:]
    assert toy.grid.walk(1, Colour.BLUE, limit=9) == []
    assert (toy.grid.clear(1, limit=1), toy.grid.walk(1, limit=9)) == (1, ordered[1:])
    assert (toy.grid.clear(1, limit=9), len(list(toy.grid.items()))) == (1, 2)


def test_a_key_of_several_parts_needs_a_hasher_for_each() -> None:
    with pytest.raises(DeclarationError, match="as many hashers"):

        class Bad(Module, index=78, events=(), errors=()):
            """A module."""

            pairs: StorageMap[tuple[U8, U8], U8] = stored()


def test_a_case_that_carries_something_is_its_number_and_that() -> None:
    kinds = make_choice(("pallet", "Target"), {0: ("Nobody", None), 3: ("Account", AccountId)})
    wired = wire_of(Annotated[Choice, kinds], "here")
    for value, data in ((("Nobody", None), b"\x00"), (("Account", WHO), b"\x03" + WHO)):
        assert (wired.encode(value), wired.decode(data)) == (data, value)
    with pytest.raises(ValueError, match="1"):
        wired.decode(b"\x01")
    with pytest.raises(DeclarationError, match="plain"):
        make_choice(("pallet", "Bad"), {0: ("Colour", Colour)})


def test_rows_and_maps_come_back_as_tuples() -> None:
    row = wire_of(tuple[Colour, U8], "here")
    assert (row.encode((Colour.BLUE, 5)), row.decode(b"\x02\x05")) == (
        b"\x02\x05",
        (Colour.BLUE, 5),
    )
    scores = wire_of(Annotated[tuple[tuple[U8, U8], ...], Most(2, is_map=True)], "here")
    assert scores.encode(((1, 2), (3, 4))) == b"\x08\x01\x02\x03\x04"
    assert scores.decode(b"\x04\x01\x02") == ((1, 2),)
    assert scores.type.path == ("BTreeMap",)
    with pytest.raises(DeclarationError, match="pairs"):
        wire_of(Annotated[tuple[U8, ...], Most(2, is_map=True)], "here")


def test_an_entry_of_a_kept_map_is_there_even_as_the_default(toy: Toy) -> None:
    toy.marks[3] = 0
    assert (toy.marks[3], 3 in toy.marks, toy.marks[4], 4 in toy.marks) == (0, True, 0, False)
    del toy.marks[3]
    assert 3 not in toy.marks


def test_what_has_no_default_is_missed_by_name(toy: Toy) -> None:
    with pytest.raises(KeyError, match="Needed"):
        _ = toy.needed
    with pytest.raises(KeyError, match="Couples"):
        _ = toy.pairs[3]
    toy.needed = PAIR
    toy.pairs[3] = PAIR
    assert (toy.needed, toy.pairs[3], toy.pairs.find(4)) == (PAIR, PAIR, None)
    assert toy.pairs.storage_key(3)[32:] == hashing.twox_64(b"\x03\0\0\0") + b"\x03\0\0\0"
    del toy.pairs[3]
    assert 3 not in toy.pairs


def test_a_record_is_its_fields_and_comes_back_with_python_types() -> None:
    assert Pair.wire.encode(PAIR) == b"\x02\x08\x01\x02\x00"
    assert Pair.wire.decode(b"\x02\x08\x01\x02\x00") == PAIR
    with pytest.raises(ValueError, match="3"):
        Pair.wire.decode(b"\x03\x08\x01\x02\x00")
    with pytest.raises(ValueError, match="4"):
        Pair.wire.decode(b"\x02\x10\x01\x02\x03\x04\x00")


@pytest.mark.parametrize(
    "annotation", [int, float, list[int], tuple[U8, ...], "U8", dict, U8 | U32, bytes]
)
def test_an_annotation_without_an_encoding_is_an_error(annotation: object) -> None:
    with pytest.raises(DeclarationError, match="here"):
        wire_of(annotation, "here")


@pytest.mark.parametrize("index", [0x3C, 0x63, 0xFF, 256, -1])
def test_no_module_takes_a_reserved_index(index: int) -> None:
    with pytest.raises(DeclarationError):
        type("Bad", (Module,), {"__doc__": "A module."}, index=index, events=(), errors=())


def test_a_hook_with_a_wrong_name_is_an_error_at_import() -> None:
    with pytest.raises(DeclarationError, match="on_finalise"):

        class Bad(Module, index=78, events=(), errors=()):
            """A module."""

            def on_finalise(self) -> None:
                """There is no such hook."""


def test_two_things_of_one_kind_cannot_share_a_number() -> None:
    class First(CallError, index=0):
        """One error."""

    class Second(CallError, index=0):
        """Another error."""

    class Heard(Event, index=1):
        """One event."""

    class Seen(Event, index=1):
        """Another event."""

    for keyword, pair in (("errors", (First, Second)), ("events", (Heard, Seen))):
        parts = {"errors": (), "events": (), keyword: pair}
        with pytest.raises(DeclarationError, match="number"):
            type("Bad", (Module,), {"__doc__": "A module."}, index=79, **parts)
    with pytest.raises(DeclarationError, match="calls"):

        class Bad(Module, index=79, events=(), errors=()):
            """A module."""

            @call(index=0, weight=1)
            def one(self, origin: Signed) -> None:
                """Do one thing."""

            @call(index=0, weight=1)
            def two(self, origin: Signed) -> None:
                """Do another thing."""


def test_everything_that_users_read_needs_its_docstring() -> None:
    with pytest.raises(DeclarationError):
        type("Silent", (CallError,), {}, index=0)
    with pytest.raises(DeclarationError):
        type("Silent", (Event,), {}, index=0)
    with pytest.raises(DeclarationError):
        type("Silent", (Module,), {}, index=79, events=(), errors=())
    with pytest.raises(DeclarationError):

        @call(index=0, weight=1)
        def silent(self: object, origin: Signed) -> None:
            pass


def test_a_call_begins_with_an_origin_and_its_arguments_have_encodings() -> None:
    with pytest.raises(DeclarationError, match="origin"):

        @call(index=0, weight=1)
        def nobody(self: object, amount: Amount) -> None:
            """Do something for nobody."""

    class Odd(Module, index=80, events=(), errors=()):
        """A module."""

        @call(index=0, weight=1)
        def odd(self, origin: Signed, amount: float) -> None:
            """Take what cannot be written."""

    with pytest.raises(DeclarationError, match=r"Odd\.odd\.amount"):
        register(Dispatcher(), (Odd(Context()),))


def test_two_modules_cannot_share_an_index() -> None:
    with pytest.raises(DeclarationError, match="index"):
        register(Dispatcher(), (Toy(Context()), Toy(Context())))


def test_storage_without_an_annotation_or_of_another_kind_is_an_error() -> None:
    with pytest.raises(DeclarationError, match="annotation"):
        type(
            "Bad",
            (Module,),
            {"__doc__": "A.", "x": stored(default=0)},
            index=80,
            events=(),
            errors=(),
        )
    with pytest.raises(DeclarationError, match="StorageValue"):

        class Bad(Module, index=80, events=(), errors=()):
            """A module."""

            total: int = stored(default=0)


def test_an_unknown_call_is_refused_by_number() -> None:
    with pytest.raises(InvalidTransaction, match="4d00"):
        Dispatcher().decode(b"\x4d\x00")
    with pytest.raises(InvalidTransaction, match="end"):
        Dispatcher().decode(b"")


def test_nested_checkpoints_are_undone_together() -> None:
    ctx = Context()
    ctx.enter(store.State.empty().overlay(), NO_BLOCK)
    ctx.journal = []
    depth = ctx.checkpoint()
    ctx.state.put(b"a", b"1")
    ctx.checkpoint()
    ctx.state.put(b"b", b"2")
    ctx.events.append(b"e")
    ctx.journal.append("posting")
    ctx.posted, ctx.acting = 5, 7
    ctx.revert(depth)
    assert (ctx.events, ctx.posted, ctx.acting, ctx.journal, ctx.depth) == ([], 0, 255, [], 0)
    assert ctx.state.get(b"a") is None
    assert ctx.state.get(b"b") is None


@pytest.mark.parametrize(
    ("amount", "shares", "parts"),
    [
        (100, (50, 20, 30), [50, 20, 30]),
        (1, (50, 20, 30), [1, 0, 0]),
        (2, (1, 1, 1), [1, 1, 0]),
        (7, (50, 20, 30), [4, 1, 2]),
        (0, (1, 0), [0, 0]),
        (10**18 + 1, (0, 1), [0, 10**18 + 1]),
    ],
)
def test_a_split_goes_to_the_largest_remainder(
    amount: int, shares: tuple[int, ...], parts: list[int]
) -> None:
    assert split_exact(amount, shares) == parts


@pytest.mark.parametrize(("amount", "shares"), [(-1, (1,)), (1, (0, 0)), (1, (2, -1))])
def test_a_split_that_cannot_be_is_refused(amount: int, shares: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shares"):
        split_exact(amount, shares)
