"""Deadlines: a bounded wheel on which modules put what must happen at a height.

Four lanes, so that a flood of one kind cannot delay another. A block takes 64 items of each lane,
256 in all: what one lane leaves unused the others may use, in their order. The rest is carried
over, oldest first. At most 1,024 items may fall due at one height, more go to the next free one.
Whether a deadline was kept is judged by height in the call; the wheel only executes.

An item whose module may not pay now (it raised OutflowsFrozen) is put back: for 16 blocks, then
for twice as long each time, at most 1,024. So nothing of a frozen module is lost, whoever is frozen
costs ever fewer tries, and what waited is done at most as late again as the freeze was long.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import IntEnum
from typing import Annotated, Final

from ext import scale
from runtime import weights
from runtime.balances.nouns import OutflowsFrozen
from runtime.frame.context import Context
from runtime.frame.declared import Record
from runtime.frame.errors import CONTAINED, CallError, DeclarationError, LedgerFault
from runtime.frame.events import Event
from runtime.frame.module import Check, Module
from runtime.frame.storage import Hasher, StorageMap, StorageValue, stored
from runtime.primitives import U8, U16, U32, BlockNumber, Weight
from runtime.wire import Primitive, Sequence, Wire

ITEMS_PER_LANE: Final = 64
"""What a lane may take in a block before the others had their share."""

ITEMS_PER_BLOCK: Final = 256
"""What a block takes in all; six milliseconds where nothing is to do any more."""

ITEMS_PER_HEIGHT: Final = 1_024
"""What may fall due at one height."""

LOOKAHEAD_MAX: Final = 64
"""Heights that are tried when one is full; with all of them full nothing more is taken."""

SCAN_MAX: Final = 64
"""Empty heights that a lane passes over in one block when it has fallen behind."""

PUT_BACK_BLOCKS: Final = 16
"""How long an item rests whose module is frozen, the first time."""

PUT_BACK_DOUBLINGS: Final = 6
"""How often that rest doubles: up to 1,024 blocks, half an hour of a public chain."""

PUT_BACK_WINDOWS: Final = 8
"""Stretches of heights tried for an item that is put back, each twice as far on: half a million
items stand in them, and were paid for, before one is dropped."""

PAYLOAD_BYTES_MAX: Final = 64
"""An item is a key of its module, not a document."""

Payload = Annotated[
    bytes, Wire(scale.var_bytes(PAYLOAD_BYTES_MAX), Sequence(Primitive("u8")), "Vec<u8>")
]
"""What the module put on the wheel."""


class Lane(IntEnum):
    """What kind of deadline an item is; in this order unused room is given away."""

    DISPUTES = 0
    SLASHES = 1
    JOBS = 2
    OTHER = 3


class ItemKey(Record):
    """The place of an item: height, lane, number within them."""

    height: BlockNumber
    lane: Lane
    place: U16


class SlotKey(Record):
    """All items of a lane that fall due at a height."""

    height: BlockNumber
    lane: Lane


class Item(Record):
    """Something to do: the module that does it, what it told itself, how often it was put back."""

    module: U8
    payload: Payload
    put_back: U8 = 0


class Cursor(Record):
    """The oldest item that a lane still has, if it has any: height and number."""

    height: BlockNumber
    place: U16


class DeadlineFailed(Event, index=0):
    """An item fell due and its module could not do it; it was undone and dropped."""

    module: U8
    payload: Payload


class DeadlinePutBack(Event, index=1):
    """An item fell due while outflows of its module were frozen; it is tried again at a height."""

    module: U8
    payload: Payload
    height: BlockNumber


class WheelFull(CallError, index=0):
    """Too much falls due around that height; choose a later one."""


class DeadlineNotFuture(CallError, index=1):
    """The height is not in the future; choose a later one."""


Listener = Callable[[bytes], None]
"""Does an item of a module; what it raises is contained."""


class Deadlines(Module, index=12):
    """A bounded wheel on which modules put what must happen at a height."""

    items_due: StorageMap[ItemKey, Item] = stored(hasher=Hasher.TWOX_64_CONCAT)
    slot_counts: StorageMap[SlotKey, U16] = stored(default=0, hasher=Hasher.TWOX_64_CONCAT)
    height_counts: StorageMap[BlockNumber, U16] = stored(default=0, hasher=Hasher.TWOX_64_CONCAT)
    cursors: StorageMap[Lane, Cursor] = stored(default=Cursor(0, 0), hasher=Hasher.TWOX_64_CONCAT)
    pending: StorageValue[U32] = stored(default=0)

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self._listeners: dict[int, Listener] = {}
        self.tell_break: Callable[[int, int], None] = lambda _module, _grains: None
        """Learns of a module whose item broke the books; THE LIST writes in who."""

    def listen(self, module_index: int, listener: Listener) -> None:
        """Say who does the items of a module; each module says it once, when it is built."""
        if module_index in self._listeners:
            raise DeclarationError(f"module {module_index} listens to its deadlines already")
        self._listeners[module_index] = listener

    def schedule(self, *, height: int, lane: Lane, module_index: int, payload: bytes) -> ItemKey:
        """Put an item on the wheel and give its place; raises WheelFull or DeadlineNotFuture."""
        return self._place(height, lane, Item(module_index, payload))

    def _place(self, height: int, lane: Lane, item: Item) -> ItemKey:
        if height <= self.ctx.block.height:
            raise DeadlineNotFuture
        for due in range(height, height + LOOKAHEAD_MAX):
            taken = self.height_counts[due]
            if taken < ITEMS_PER_HEIGHT:
                break
        else:
            raise WheelFull
        slot = SlotKey(due, lane)
        key = ItemKey(due, lane, self.slot_counts[slot])
        self.items_due[key] = item
        self.slot_counts[slot] += 1
        self.height_counts[due] = taken + 1
        self.pending += 1
        return key

    def cancel(self, key: ItemKey) -> bool:
        """Take an item off the wheel, but not its place; gives False when it is done or gone."""
        if key not in self.items_due:
            return False
        del self.items_due[key]
        return True

    def oldest_age(self) -> int:
        """Give how many blocks the oldest item is overdue; 0 when none is."""
        if not self.pending:
            return 0
        height = self.ctx.block.height
        behind = [self.cursors[lane].height for lane in Lane if self.cursors[lane] != Cursor(0, 0)]
        return max((height - due for due in behind), default=0)

    def on_initialize(self) -> Weight:
        """Do what is due, each lane first within its own room, then with what others left."""
        if not self.pending:
            for lane in Lane:
                del self.cursors[lane]
            return 0
        done = 0
        for lane in Lane:
            done += self._run_lane(lane, ITEMS_PER_LANE)
        for lane in Lane:
            done += self._run_lane(lane, ITEMS_PER_BLOCK - done)
        return done * weights.DEADLINE_ITEM

    def _run_lane(self, lane: Lane, room: int) -> int:
        """Do at most `room` due items of a lane, oldest first; gives how many places it passed."""
        height = self.ctx.block.height
        cursor = self.cursors[lane]
        due, place = (cursor.height, cursor.place) if cursor != Cursor(0, 0) else (height, 0)
        done, scanned = 0, 0
        while due <= height and done < room and scanned <= SCAN_MAX:
            slot = SlotKey(due, lane)
            count = self.slot_counts[slot]
            while place < count and done < room:
                self._do(ItemKey(due, lane, place))
                self.pending -= 1
                place, done = place + 1, done + 1
            if place < count:
                break
            self._close_slot(slot, count)
            due, place, scanned = due + 1, 0, scanned + 1
        self.cursors[lane] = Cursor(due, place) if due <= height else Cursor(0, 0)
        return done

    def _close_slot(self, slot: SlotKey, count: int) -> None:
        if count:
            del self.slot_counts[slot]
            self.height_counts[slot.height] -= count

    def _do(self, key: ItemKey) -> None:
        """Do one item in a checkpoint of its own; a failure is an event, never an exception."""
        item = self.items_due.find(key)
        if item is None:
            return
        del self.items_due[key]
        ctx = self.ctx
        before = ctx.state.money - ctx.posted
        depth = ctx.checkpoint()
        ctx.acting = item.module
        try:
            self._listeners[item.module](item.payload)
            if ctx.state.money - ctx.posted != before:
                raise LedgerFault(item.module, ctx.state.money - ctx.posted - before)
        except LedgerFault as fault:
            ctx.revert(depth)
            self.tell_break(fault.module_index, fault.difference)
            self._put_back(key.lane, item)
        except OutflowsFrozen:
            ctx.revert(depth)
            self._put_back(key.lane, item)
        except (CallError, *CONTAINED):
            ctx.revert(depth)
            self.emit(DeadlineFailed(item.module, item.payload))
        else:
            ctx.commit()

    def _put_back(self, lane: Lane, item: Item) -> None:
        """Put an item whose module may not pay now on the wheel again, for longer each time."""
        rest = PUT_BACK_BLOCKS << min(item.put_back, PUT_BACK_DOUBLINGS)
        again = replace(item, put_back=min(item.put_back + 1, PUT_BACK_DOUBLINGS))
        first = self.ctx.block.height + rest - LOOKAHEAD_MAX
        for window in range(PUT_BACK_WINDOWS):
            try:
                key = self._place(first + (LOOKAHEAD_MAX << window), lane, again)
            except WheelFull:
                continue
            self.emit(DeadlinePutBack(item.module, item.payload, key.height))
            self.ctx.weight_used += weights.DEADLINE_PUT_BACK
            return
        self.emit(DeadlineFailed(item.module, item.payload))

    def invariants(self) -> Iterator[Check]:
        """Compare counts with items."""
        keys = [key for key, _ in self.items_due.items()]
        counts = dict(self.slot_counts.items())
        passed = sum(cursor.place for cursor in self.cursors.values())
        is_counted = self.pending == sum(counts.values()) - passed
        yield Check("pending counts the places that are still to come", is_counted)
        inside = all(key.place < counts.get(SlotKey(key.height, key.lane), 0) for key in keys)
        yield Check("every item has a place in its slot", inside)
        sums: dict[int, int] = {}
        for slot, count in counts.items():
            sums[slot.height] = sums.get(slot.height, 0) + count
        yield Check("a height counts its slots", sums == dict(self.height_counts.items()))
        is_bounded = all(count <= ITEMS_PER_HEIGHT for count in sums.values())
        yield Check("no height has too many items", is_bounded)
