# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""Hot calls executed without Python objects between.

The runtime's modules are the specification: `Runner` does what they do to the same records, in the
same order of checks and events, and hands over to them before anything that is not plainly a
remark or a transfer that its signer can pay for. A test compares roots, receipts and errors.
"""

from typing import NamedTuple

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.long cimport PyLong_AsUnsignedLongLong, PyLong_CheckExact
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from ext.native.bodies import PAYLOAD_LENGTH_MAX, SigningTerms, signature_items, verify_block
from ext.native.extrinsic cimport extrinsic, fee_of, read_compact, read_extrinsic
from ext.native.store cimport Overlay
from ext.native.tree cimport Record, Tree

cdef enum:
    RECEIPT_MAX = 1024
    NEAR = 6
    FAR = 12
    RING = 15
    NEW_LOGIC = 0x8000

cdef uint64_t LIMIT = (1 << 63) - 1


class Rules(NamedTuple):
    """What the runtime says about its hot calls, once: numbers, accounts, and ready-made bytes."""

    existential_deposit: int
    fee_pot: bytes
    treasury: bytes
    protected: tuple
    remark: bytes
    transfer_allow_death: bytes
    transfer_keep_alive: bytes
    extrinsic_weight: int
    remark_weight: int
    transfer_weight: int
    remark_info: bytes
    transfer_info: bytes
    fee_paid: bytes
    transferred: bytes
    new_account: bytes
    endowed: bytes
    dust_lost: bytes
    killed_account: bytes
    success: bytes
    failed: bytes
    insufficient_balance: bytes
    liquidity_restrictions: bytes
    existential_deposit_error: bytes
    expendability: bytes
    protected_account: bytes
    remark_length_max: int
    rate_divisor: int


class Room(NamedTuple):
    """What a run may use up: prices (base, per byte, rate), and the limits that are left.

    `first_index` is the place of the run's first extrinsic in the block, as phases of events say it.
    """

    prices: tuple
    bytes_left: int
    weight_left: int
    count_left: int
    first_index: int


class Run(NamedTuple):
    """What a run did: how many extrinsics, their receipts, which failed, and what they used."""

    done: int
    receipts: list
    failed: list
    bytes_used: int
    weight_used: int
    tips: int


cdef struct Call:
    # A hot call as read: `target` is NULL for a remark; an `amount` of more than 64 bits is the
    # largest number, which nobody has.
    const uint8_t* target
    uint64_t amount
    bint keep_alive


@cython.final
cdef class Runner:
    """One run: what the rules say, in C, and the receipt being written."""

    cdef Overlay overlay
    cdef object rules
    cdef const uint8_t* pot
    cdef const uint8_t* treasury
    cdef list protected
    cdef uint64_t deposit, base, per_byte, rate, million
    cdef uint64_t bytes_left, weight_left, tips, paid
    cdef uint32_t index
    # Transactions read ahead, by their place; those that are not ordinary have no signer.
    cdef extrinsic[RING + 1] ring
    cdef Py_ssize_t seen
    # Where the overlay has the signer and the target.
    cdef uint32_t source, goal
    cdef uint8_t receipt[RECEIPT_MAX]
    cdef int size, events
    cdef list receipts, failed
    cdef bytes remark, transfer_allow_death, transfer_keep_alive, remark_info, transfer_info
    cdef bytes fee_paid, transferred, new_account, endowed, dust_lost, killed_account
    cdef bytes success, failure
    cdef uint64_t remark_weight, transfer_weight, remark_length_max

    def __cinit__(self, Overlay overlay not None, rules, room):
        self.overlay = overlay
        self.rules = rules
        self.pot = place_of(rules.fee_pot)
        self.treasury = place_of(rules.treasury)
        self.protected = list(rules.protected)
        self.deposit = rules.existential_deposit
        self.million = rules.rate_divisor
        self.base, self.per_byte, self.rate = room.prices
        self.bytes_left = max(room.bytes_left, 0)
        self.weight_left = max(room.weight_left, 0)
        self.index = room.first_index
        self.receipts = []
        self.failed = []
        self.learn(rules)

    cdef int learn(self, rules) except -1:
        """Copy what is used for every extrinsic."""
        self.remark_weight = rules.extrinsic_weight + rules.remark_weight
        self.transfer_weight = rules.extrinsic_weight + rules.transfer_weight
        self.remark_length_max = rules.remark_length_max
        self.remark = rules.remark
        self.transfer_allow_death = rules.transfer_allow_death
        self.transfer_keep_alive = rules.transfer_keep_alive
        self.remark_info = rules.remark_info
        self.transfer_info = rules.transfer_info
        self.fee_paid = rules.fee_paid
        self.transferred = rules.transferred
        self.new_account = rules.new_account
        self.endowed = rules.endowed
        self.dust_lost = rules.dust_lost
        self.killed_account = rules.killed_account
        self.success = rules.success
        self.failure = rules.failed
        return 0

    cdef int look_ahead(self, list raws, Py_ssize_t at, Py_ssize_t end) except -1:
        """Read the transactions to come, and ask for their memory: the table, then the accounts."""
        cdef extrinsic* tx
        cdef bytes raw
        while self.seen < end and self.seen <= at + FAR:
            raw = <bytes?>raws[self.seen]
            tx = &self.ring[self.seen & RING]
            if read_extrinsic(place_of(raw), PyBytes_GET_SIZE(raw), tx):
                tx.signer = NULL
            self.fetch_both(tx, False)
            self.seen += 1
        if at + NEAR < end:
            self.fetch_both(&self.ring[(at + NEAR) & RING], True)
        return 0

    cdef int fetch_both(self, const extrinsic* tx, bint is_near) noexcept:
        if tx.signer == NULL:
            return 0
        self.fetch(tx.signer, is_near)
        if tx.call_length >= 36:
            self.fetch(tx.call + 3, is_near)
        return 0

    cdef int fetch(self, const uint8_t* who, bint is_near) noexcept:
        if is_near:
            return self.overlay.base.tree.prefetch_account(who)
        return self.overlay.base.tree.prefetch(who)

    cdef bint can_run(self) except -1:
        """Say whether the accounts that every run needs are there and numbers are in range."""
        cdef Record record
        if max(self.base, self.per_byte, self.rate) > LIMIT or self.million == 0:
            return False
        for who in (self.rules.fee_pot, self.rules.treasury):
            if not self.overlay.load(place_of(who), &record) or not record.providers:
                return False
        return True

    cdef bint is_protected(self, const uint8_t* who) noexcept:
        for account in self.protected:
            if memcmp(PyBytes_AS_STRING(<bytes>account), who, 32) == 0:
                return True
        return False

    cdef bint apply(self, const extrinsic* tx) except -1:
        """Execute one extrinsic, or change nothing and say no."""
        cdef Call call
        cdef Record signer
        cdef uint64_t weight, fee
        if tx.signer == NULL or not self.read_call(tx, &call):
            return False
        weight = self.remark_weight if call.target == NULL else self.transfer_weight
        if tx.length > self.bytes_left or weight > self.weight_left:
            return False
        fee = fee_of(self.base, self.per_byte, self.rate, self.million, tx.length, weight)
        if fee > LIMIT or tx.tip > LIMIT - fee:
            return False
        self.source = self.overlay.touch(tx.signer)
        signer = self.overlay.touched[self.source].now
        if not signer.present or self.is_protected(tx.signer):
            return False
        if not self.can_pay(&signer, fee + tx.tip) or signer.nonce != tx.nonce:
            return False
        if tx.nonce == 0xFFFFFFFF:
            return False
        self.charge(tx, &signer, fee + tx.tip)
        if call.target == NULL:
            self.finish(b"", self.remark_info)
        else:
            self.finish(self.transfer(tx, &call, &signer), self.transfer_info)
        self.bytes_left -= tx.length
        self.weight_left -= weight
        return True

    cdef bint read_call(self, const extrinsic* tx, Call* call) except -1:
        """Read a call that is hot and exactly as it must be, or say no."""
        cdef const uint8_t* at = tx.call + 2
        cdef const uint8_t* end = tx.call + tx.call_length
        cdef uint64_t length
        cdef int large
        if tx.call_length < 3:
            return False
        call.target = NULL
        if same_head(tx.call, self.remark):
            if read_compact(&at, end, &length, &large) or large:
                return False
            return length == <uint64_t>(<size_t>end - <size_t>at) and (
                length <= self.remark_length_max
            )
        call.keep_alive = same_head(tx.call, self.transfer_keep_alive)
        if not call.keep_alive and not same_head(tx.call, self.transfer_allow_death):
            return False
        if tx.call_length < 36 or at[0] != 0:
            return False
        call.target = at + 1
        at += 33
        return read_compact(&at, end, &call.amount, &large) == 0 and at == end

    cdef bint can_pay(self, const Record* signer, uint64_t paid) noexcept:
        """Say whether the fee leaves the signer alive, and what freezes cover beyond holds."""
        if not signer.providers or paid > signer.free:
            return False
        return signer.free - paid >= max(self.deposit, covered(signer))

    cdef int charge(self, const extrinsic* tx, Record* signer, uint64_t paid) except -1:
        """Take nonce, fee and tip; the pot gets it at the end of the run."""
        signer.nonce += 1
        signer.free -= paid
        self.overlay.save_at(self.source, signer)
        self.paid += paid
        self.tips += tx.tip
        self.begin()
        self.event(self.fee_paid)
        self.raw(tx.signer, 32)
        self.money(paid)
        self.money(tx.tip)
        return self.end()

    cdef bytes transfer(self, const extrinsic* tx, const Call* call, Record* source):
        """Move money and tell of it, or give the error that the module would."""
        cdef Record target
        cdef uint64_t rest
        cdef bint is_new
        if self.is_protected(call.target):
            return self.rules.protected_account
        if call.amount > source.free:
            return self.rules.insufficient_balance
        rest = source.free - call.amount
        if (source.consumers or source.frozen) and rest < max(
            covered(source), self.deposit if source.consumers else 0
        ):
            return self.rules.liquidity_restrictions
        if call.keep_alive and rest < self.deposit:
            return self.rules.expendability
        if memcmp(tx.signer, call.target, 32) != 0:
            self.goal = self.overlay.touch(call.target)
            target = self.overlay.touched[self.goal].now
            is_new = not target.present or not target.providers
            if is_new and call.amount < self.deposit:
                return self.rules.existential_deposit_error
            self.debit(tx.signer, source, rest)
            self.credit(call.target, &target, call.amount, is_new)
        self.event(self.transferred)
        self.raw(tx.signer, 32)
        self.raw(call.target, 32)
        self.money(call.amount)
        self.end()
        return b""

    cdef int debit(self, const uint8_t* who, Record* record, uint64_t rest) except -1:
        """Leave `rest` grains in an account; too few, and it dies and the treasury gets them."""
        cdef Record treasury
        cdef uint32_t nonce = record.nonce
        if rest >= self.deposit or record.reserved:
            record.free = rest
            return self.overlay.save_at(self.source, record)
        memset(record, 0, sizeof(Record))
        record.nonce = nonce
        record.present = 1
        self.overlay.save_at(self.source, record)
        if rest:
            self.overlay.load(self.treasury, &treasury)
            treasury.free += rest
            self.overlay.save(self.treasury, &treasury)
            self.event(self.dust_lost)
            self.raw(who, 32)
            self.money(rest)
            self.end()
        self.event(self.killed_account)
        self.raw(who, 32)
        return self.end()

    cdef int credit(
        self, const uint8_t* who, Record* record, uint64_t amount, bint is_new
    ) except -1:
        """Add money to an account, which comes into being with it if it `is_new`."""
        cdef uint32_t nonce = record.nonce if record.present else 0
        if not is_new:
            record.free += amount
            return self.overlay.save_at(self.goal, record)
        memset(record, 0, sizeof(Record))
        record.nonce = nonce
        record.providers = 1
        record.free = amount
        record.flags = NEW_LOGIC
        record.present = 1
        self.overlay.save_at(self.goal, record)
        self.event(self.new_account)
        self.raw(who, 32)
        self.end()
        self.event(self.endowed)
        self.raw(who, 32)
        self.money(amount)
        return self.end()

    cdef int settle(self) except -1:
        """Put the fees of the run into the pot."""
        cdef Record pot
        self.overlay.load(self.pot, &pot)
        pot.free += self.paid
        return self.overlay.save(self.pot, &pot)

    # --- the receipt: a count, then phase, event and no topics for each

    cdef int begin(self) noexcept:
        self.size = 1
        self.events = 0
        return 0

    cdef int event(self, bytes head) except -1:
        cdef uint8_t* at = &self.receipt[self.size]
        if self.size + 128 > RECEIPT_MAX:
            raise ValueError("a receipt of a hot call is longer than there is room for")
        at[0] = 0
        memcpy(at + 1, &self.index, 4)
        self.size += 5
        return self.raw(place_of(head), PyBytes_GET_SIZE(head))

    cdef int raw(self, const uint8_t* data, Py_ssize_t size) except -1:
        if self.size + size > RECEIPT_MAX:
            raise ValueError("a receipt of a hot call is longer than there is room for")
        memcpy(&self.receipt[self.size], data, size)
        self.size += <int>size
        return 0

    cdef int money(self, uint64_t amount) except -1:
        cdef uint64_t[2] number
        number[0], number[1] = amount, 0
        return self.raw(<const uint8_t*>number, 16)

    cdef int end(self) except -1:
        self.events += 1
        return self.raw(<const uint8_t*>b"\0", 1)

    cdef int finish(self, bytes error, bytes info) except -1:
        """Say what became of the extrinsic and close its receipt."""
        self.event(self.failure if error else self.success)
        self.raw(place_of(error), PyBytes_GET_SIZE(error))
        self.raw(place_of(info), PyBytes_GET_SIZE(info))
        self.end()
        self.receipt[0] = <uint8_t>(4 * self.events)
        self.receipts.append(PyBytes_FromStringAndSize(<char*>self.receipt, self.size))
        self.failed.append(len(error) > 0)
        self.index += 1
        return 0


cdef inline const uint8_t* place_of(bytes data) noexcept:
    return <const uint8_t*>PyBytes_AS_STRING(data)


cdef inline bint same_head(const uint8_t* call, bytes head) noexcept:
    return memcmp(call, PyBytes_AS_STRING(head), 2) == 0


cdef inline uint64_t covered(const Record* record) noexcept:
    """Return the free grains that freezes cover beyond what is held."""
    return record.frozen - record.reserved if record.frozen > record.reserved else 0


def apply_run(Overlay overlay not None, rules, extrinsics, Py_ssize_t first, room):
    """Execute consecutive hot calls from `extrinsics[first]` on and stop before any other thing.

    What is invalid, malformed, unusual or without room is never executed: the caller's slow way
    says what is wrong with it. Tips reach the fee pot but are counted only in the result.
    """
    cdef Runner runner = Runner(overlay, rules, room)
    cdef Py_ssize_t at = first, end = len(extrinsics), room_left = room.count_left
    cdef list raws
    if room_left < end - first:
        end = first + room_left
    overlay.check_fresh()
    if at < end and runner.can_run():
        raws = extrinsics if type(extrinsics) is list else list(extrinsics)
        runner.seen = first
        while at < end:
            runner.look_ahead(raws, at, end)
            if not runner.apply(&runner.ring[at & RING]):
                break
            at += 1
    if at > first:
        runner.settle()
    return Run(
        at - first,
        runner.receipts,
        runner.failed,
        max(room.bytes_left, 0) - runner.bytes_left,
        max(room.weight_left, 0) - runner.weight_left,
        runner.tips,
    )


def read_signed(raw):
    """Give signer, nonce, tip and call of a signed extrinsic.

    None when it is malformed, or unusual (a tip of more than 64 bits); the caller's slow way says
    which.
    """
    cdef extrinsic tx
    if type(raw) is not bytes or read_extrinsic(place_of(raw), PyBytes_GET_SIZE(raw), &tx):
        return None
    return (
        PyBytes_FromStringAndSize(<const char*>tx.signer, 32),
        tx.nonce,
        tx.tip,
        PyBytes_FromStringAndSize(<const char*>tx.call, tx.call_length),
    )


def read_run(
    overlay, list extrinsics not None, Py_ssize_t first, Py_ssize_t count, dict payments not None
):
    """Give what `read_signed` gives of up to `count` extrinsics, their accounts fetched already.

    The accounts of an extrinsic are its signer and what stands where a transfer has its target.
    Where `payments` has the first two bytes of a call, and `read_payment` could read the rest, the
    call is given as (first of what is there, (account id, number), second of what is there).
    """
    cdef Tree tree = (<Overlay>overlay).base.tree if isinstance(overlay, Overlay) else None
    cdef Py_ssize_t at, end = min(len(extrinsics), first + count)
    cdef list found = []
    cdef bint is_near
    if tree is not None:
        for is_near in (False, True):
            for at in range(first, end):
                fetch_accounts(tree, extrinsics[at], is_near)
    for at in range(first, end):
        found.append(read_front(extrinsics[at], payments))
    return found


cdef object read_front(raw, dict payments):
    cdef extrinsic tx
    cdef const uint8_t* call
    if type(raw) is not bytes or read_extrinsic(place_of(raw), PyBytes_GET_SIZE(raw), &tx):
        return None
    call = tx.call
    signer = PyBytes_FromStringAndSize(<const char*>tx.signer, 32)
    if tx.call_length >= 36:
        known = payments.get(PyBytes_FromStringAndSize(<const char*>call, 2))
        if known is not None:
            payment = payment_at(call + 2, call + tx.call_length)
            if payment is not None:
                entry, weight = known
                return signer, tx.nonce, tx.tip, (entry, payment, weight)
    return (
        signer, tx.nonce, tx.tip, PyBytes_FromStringAndSize(<const char*>call, tx.call_length)
    )


cdef tuple payment_at(const uint8_t* at, const uint8_t* end):
    """Give the account id and the compact number in at least 34 bytes, or None."""
    cdef const uint8_t* number = at + 33
    cdef uint64_t amount
    cdef int large
    if at[0] != 0 or read_compact(&number, end, &amount, &large) or large or number != end:
        return None
    return PyBytes_FromStringAndSize(<const char*>at + 1, 32), amount


cdef int fetch_accounts(Tree tree, raw, bint is_near) except -1:
    """Ask for the places of an extrinsic's accounts in the table, or (near) for their records."""
    cdef extrinsic tx
    if type(raw) is not bytes or read_extrinsic(place_of(raw), PyBytes_GET_SIZE(raw), &tx):
        return 0
    if is_near:
        tree.prefetch_account(tx.signer)
    else:
        tree.prefetch(tx.signer)
    if tx.call_length < 36:
        return 0
    return tree.prefetch_account(tx.call + 3) if is_near else tree.prefetch(tx.call + 3)


def read_payment(bytes data not None, Py_ssize_t offset):
    """Give the account id and the compact number that are all that stands from `offset` on.

    None when anything else stands there, or a number of more than 64 bits.
    """
    cdef const uint8_t* at = place_of(data)
    if offset < 0 or PyBytes_GET_SIZE(data) - 34 < offset:
        return None
    return payment_at(at + offset, at + PyBytes_GET_SIZE(data))


def encode_fee_paid(bytes head not None, bytes who not None, paid, tip):
    """Give the event of a fee: its two bytes, the signer, and two amounts below 2^64."""
    cdef bytes event = PyBytes_FromStringAndSize(NULL, 66)
    cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(event)
    write_head(at, head, who)
    write_amount(at + 34, paid)
    write_amount(at + 50, tip)
    return event


def encode_transfer(bytes head not None, bytes source not None, bytes target not None, amount):
    """Give the event of a transfer: its two bytes, two accounts, and an amount below 2^64."""
    cdef bytes event = PyBytes_FromStringAndSize(NULL, 82)
    cdef uint8_t* at = <uint8_t*>PyBytes_AS_STRING(event)
    write_head(at, head, source)
    memcpy(at + 34, check_who(target), 32)
    write_amount(at + 66, amount)
    return event


cdef int write_head(uint8_t* at, bytes head, bytes who) except -1:
    if PyBytes_GET_SIZE(head) != 2:
        raise ValueError("an event begins with two bytes")
    memcpy(at, place_of(head), 2)
    memcpy(at + 2, check_who(who), 32)
    return 0


cdef const uint8_t* check_who(bytes who) except NULL:
    if PyBytes_GET_SIZE(who) != 32:
        raise ValueError("an account identifier has 32 bytes")
    return place_of(who)


cdef int write_amount(uint8_t* at, amount) except -1:
    """Write a number below 2^64 as the 16 bytes of a u128; raise OverflowError for another."""
    cdef uint64_t[2] words
    if not PyLong_CheckExact(amount):
        raise TypeError("an amount is an integer")
    words[0], words[1] = PyLong_AsUnsignedLongLong(amount), 0
    memcpy(at, words, 16)
    return 0


def encode_receipt(Py_ssize_t index, list events not None):
    """Give the SCALE `Vec<EventRecord>` of the encoded events of one extrinsic of a block."""
    cdef Py_ssize_t count = len(events), size = 4 + 6 * count, length
    cdef uint8_t phase[5]
    cdef uint32_t number
    cdef uint8_t* at
    cdef bytes event, receipt
    if not 0 <= index <= 0xFFFFFFFF:
        raise OverflowError("the place of an extrinsic in a block is a u32")
    number = <uint32_t>index
    for event in events:
        size += PyBytes_GET_SIZE(<bytes?>event)
    if count >= 1 << 30:
        raise ValueError("a receipt holds less than 2^30 events")
    size -= 3 if count < 1 << 6 else 2 if count < 1 << 14 else 0
    receipt = PyBytes_FromStringAndSize(NULL, size)
    at = <uint8_t*>PyBytes_AS_STRING(receipt) + write_count(
        <uint8_t*>PyBytes_AS_STRING(receipt), <uint32_t>count
    )
    phase[0] = 0
    memcpy(&phase[1], &number, 4)
    for event in events:
        length = PyBytes_GET_SIZE(event)
        memcpy(at, phase, 5)
        memcpy(at + 5, PyBytes_AS_STRING(event), length)
        at[5 + length] = 0
        at += 6 + length
    return receipt


cdef Py_ssize_t write_count(uint8_t* at, uint32_t count) noexcept:
    """Write SCALE's shortest form of a number below 2^30; return its length."""
    cdef uint32_t wide
    cdef uint16_t narrow
    if count < 1 << 6:
        at[0] = <uint8_t>(count << 2)
        return 1
    if count < 1 << 14:
        narrow = <uint16_t>(count << 2 | 1)
        memcpy(at, &narrow, 2)
        return 2
    wide = count << 2 | 2
    memcpy(at, &wide, 4)
    return 4
