# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=False, overflowcheck=True
"""Ed25519 through PyNaCl's libsodium by function pointer; nothing else decides validity.

Many signatures are verified in chunks, without the GIL, on all cores this process may use. The
point and scalar operations are what the VRF of consensus needs. Points, scalars, seeds and public
keys have 32 bytes, signatures 64; an operation without a result gives None.
"""

import ctypes
import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import nacl.bindings
from nacl import _sodium

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.stdint cimport uint8_t, uint64_t, uintptr_t

KEYS_REMEMBERED = 65_536

cdef enum:
    # A worker takes one to two chunks at a time: rarely enough for the GIL, often enough to be fair.
    CHUNK = 128

ctypedef int (*verify_t)(
    const uint8_t*, const uint8_t*, unsigned long long, const uint8_t*) noexcept nogil
ctypedef int (*sign_t)(
    uint8_t*, unsigned long long*, const uint8_t*, unsigned long long, const uint8_t*
) noexcept nogil
ctypedef int (*pair_t)(uint8_t*, uint8_t*, const uint8_t*) noexcept nogil
ctypedef int (*ask_t)(const uint8_t*) noexcept nogil
ctypedef int (*two_t)(uint8_t*, const uint8_t*, const uint8_t*) noexcept nogil
ctypedef int (*one_t)(uint8_t*, const uint8_t*) noexcept nogil
ctypedef void (*mix_t)(uint8_t*, const uint8_t*, const uint8_t*) noexcept nogil
ctypedef void (*turn_t)(uint8_t*, const uint8_t*) noexcept nogil
ctypedef void (*wipe_t)(void*, size_t) noexcept nogil

_library = ctypes.CDLL(_sodium.__file__)


cdef uintptr_t _address(str name) except 0:
    function = getattr(_library, name)
    return <uintptr_t>ctypes.cast(function, ctypes.c_void_p).value


nacl.bindings.sodium_init()

cdef verify_t sodium_verify = <verify_t>_address("crypto_sign_verify_detached")
cdef sign_t sodium_sign = <sign_t>_address("crypto_sign_detached")
cdef pair_t sodium_pair = <pair_t>_address("crypto_sign_seed_keypair")
cdef ask_t sodium_is_point = <ask_t>_address("crypto_core_ed25519_is_valid_point")
cdef two_t sodium_add = <two_t>_address("crypto_core_ed25519_add")
cdef two_t sodium_sub = <two_t>_address("crypto_core_ed25519_sub")
cdef two_t sodium_mult = <two_t>_address("crypto_scalarmult_ed25519_noclamp")
cdef one_t sodium_mult_base = <one_t>_address("crypto_scalarmult_ed25519_base_noclamp")
cdef turn_t sodium_reduce = <turn_t>_address("crypto_core_ed25519_scalar_reduce")
cdef mix_t sodium_scalar_mul = <mix_t>_address("crypto_core_ed25519_scalar_mul")
cdef mix_t sodium_scalar_add = <mix_t>_address("crypto_core_ed25519_scalar_add")
cdef wipe_t sodium_wipe = <wipe_t>_address("sodium_memzero")
cdef turn_t sodium_negate = <turn_t>_address("crypto_core_ed25519_scalar_negate")


cdef inline const uint8_t* _raw(bytes content) noexcept:
    return <const uint8_t*>PyBytes_AS_STRING(content)


cdef inline bytes _room(Py_ssize_t length):
    return PyBytes_FromStringAndSize(NULL, length)


cdef int _check_length(str name, bytes content, Py_ssize_t length) except -1:
    if PyBytes_GET_SIZE(content) != length:
        raise ValueError(f"a {name} has {length} bytes, not {PyBytes_GET_SIZE(content)}")
    return 0


cdef void check_range(Check* checks, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    # Verify a range in the calling thread; any thread may hold another range of the same array.
    cdef Check* check = checks + low
    cdef Check* end = checks + high
    while check < end:
        check.ok = sodium_verify(check.signature, check.message, check.length, check.public) == 0
        check += 1


cdef class _Batch:
    # Owns its memory and every worker holds the batch, so an interrupt leaves nothing dangling.

    def __cinit__(self, Py_ssize_t count):
        self.checks = <Check*>PyMem_Calloc(count or 1, sizeof(Check))
        if self.checks == NULL:
            raise MemoryError
        self.count = count

    def __dealloc__(self):
        PyMem_Free(self.checks)

    def work(self):
        # Take chunk after chunk; the taking is under the GIL, so no two workers get the same.
        cdef Py_ssize_t low, high
        while self.taken < self.count:
            low = self.taken
            high = min(low + self.step, self.count)
            self.taken = high
            with nogil:
                check_range(self.checks, low, high)

    cdef int verify(self) except -1:
        # Returns when every `ok` is written.
        cdef Py_ssize_t share = self.count // (4 * <Py_ssize_t>_cores)
        self.taken = 0
        self.step = min(max(share, CHUNK), 2 * CHUNK)
        helpers = min(<Py_ssize_t>_cores - 1, self.count // CHUNK)
        waiting = []
        if helpers > 0:
            pool = _find_pool()
            waiting = [pool.submit(self.work) for _ in range(helpers)]
        self.work()
        for future in waiting:
            if not future.cancel():
                future.result()
        return 0


_pool = None
_pool_lock = threading.Lock()
_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _forget_pool():
    # The threads of the parent do not exist in a forked child.
    global _pool, _pool_lock
    _pool = None
    _pool_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _find_pool():
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(_cores, "verify")
        return _pool


def verify(bytes public not None, bytes message not None, bytes signature not None):
    """Say whether libsodium accepts an Ed25519 signature."""
    cdef Check check
    if PyBytes_GET_SIZE(public) != 32 or PyBytes_GET_SIZE(signature) != 64:
        return False
    _point_at(&check, public, message, signature)
    with nogil:
        check_range(&check, 0, 1)
    return check.ok == 1


def verify_many(items):
    """Verify (public, message, signature) for each item, on all cores."""
    cdef list held = [tuple(item) for item in items]
    cdef Py_ssize_t position, used = 0
    cdef _Batch batch = _Batch(len(held))
    cdef bytes public, message, signature
    batch.held = held
    places = []
    for position in range(len(held)):
        public, message, signature = _three(held[position])
        if PyBytes_GET_SIZE(public) == 32 and PyBytes_GET_SIZE(signature) == 64:
            _point_at(&batch.checks[used], public, message, signature)
            places.append(position)
            used += 1
    batch.count = used
    batch.verify()
    answers = [False] * len(held)
    for position in range(used):
        answers[places[position]] = batch.checks[position].ok == 1
    return answers


cdef void _point_at(Check* check, bytes public, bytes message, bytes signature) noexcept:
    check.public = _raw(public)
    check.message = _raw(message)
    check.signature = _raw(signature)
    check.length = <uint64_t>PyBytes_GET_SIZE(message)
    check.ok = 0


cdef tuple _three(tuple item):
    if len(item) != 3:
        raise ValueError(f"expected (public, message, signature), got {len(item)} items")
    for part in item:
        if type(part) is not bytes:
            raise TypeError(f"expected bytes, got {type(part).__name__}")
    return item


@functools.lru_cache(maxsize=KEYS_REMEMBERED)
def is_valid_key(public):
    """Say whether a public key is a canonical point of the prime-order subgroup."""
    return point_is_valid(public)


def public_key(bytes seed not None):
    """Give the public key of a 32-byte seed."""
    cdef uint8_t[32] public
    cdef uint8_t[64] secret
    _check_length("seed", seed, 32)
    sodium_pair(public, secret, _raw(seed))
    sodium_wipe(secret, 64)
    return PyBytes_FromStringAndSize(<char*>public, 32)


def sign(bytes seed not None, bytes message not None):
    """Sign with a 32-byte seed."""
    cdef uint8_t[32] public
    cdef uint8_t[64] secret
    cdef uint8_t[64] signature
    _check_length("seed", seed, 32)
    sodium_pair(public, secret, _raw(seed))
    sodium_sign(signature, NULL, _raw(message), PyBytes_GET_SIZE(message), secret)
    sodium_wipe(secret, 64)
    return PyBytes_FromStringAndSize(<char*>signature, 64)


def point_is_valid(bytes point not None):
    """Say whether 32 bytes are a canonical point of the prime-order subgroup, not small."""
    return PyBytes_GET_SIZE(point) == 32 and sodium_is_point(_raw(point)) == 1


cdef bytes _of_two(two_t function, bytes left, bytes right):
    cdef bytes result = _room(32)
    failed = function(<uint8_t*>PyBytes_AS_STRING(result), _raw(left), _raw(right))
    return None if failed else result


def point_add(bytes left not None, bytes right not None):
    """Add two points; None when one is not on the curve."""
    _check_length("point", left, 32)
    _check_length("point", right, 32)
    return _of_two(sodium_add, left, right)


def point_sub(bytes left not None, bytes right not None):
    """Subtract the second point from the first; None when one is not on the curve."""
    _check_length("point", left, 32)
    _check_length("point", right, 32)
    return _of_two(sodium_sub, left, right)


def scalar_mult(bytes scalar not None, bytes point not None):
    """Multiply a point of the subgroup by a scalar as it is; None outside it or for zero."""
    _check_length("scalar", scalar, 32)
    _check_length("point", point, 32)
    return _of_two(sodium_mult, scalar, point)


def scalar_mult_base(bytes scalar not None):
    """Multiply the base point by a scalar as it is; None for zero."""
    cdef bytes result = _room(32)
    _check_length("scalar", scalar, 32)
    failed = sodium_mult_base(<uint8_t*>PyBytes_AS_STRING(result), _raw(scalar))
    return None if failed else result


def scalar_reduce(bytes wide not None):
    """Reduce 64 bytes, little endian, modulo the group order."""
    cdef bytes result = _room(32)
    _check_length("wide scalar", wide, 64)
    sodium_reduce(<uint8_t*>PyBytes_AS_STRING(result), _raw(wide))
    return result


cdef bytes _mixed(mix_t function, bytes left, bytes right):
    cdef bytes result = _room(32)
    _check_length("scalar", left, 32)
    _check_length("scalar", right, 32)
    function(<uint8_t*>PyBytes_AS_STRING(result), _raw(left), _raw(right))
    return result


def scalar_mul(bytes left not None, bytes right not None):
    """Multiply two scalars modulo the group order."""
    return _mixed(sodium_scalar_mul, left, right)


def scalar_add(bytes left not None, bytes right not None):
    """Add two scalars modulo the group order."""
    return _mixed(sodium_scalar_add, left, right)


def scalar_negate(bytes scalar not None):
    """Negate a scalar modulo the group order."""
    cdef bytes result = _room(32)
    _check_length("scalar", scalar, 32)
    sodium_negate(<uint8_t*>PyBytes_AS_STRING(result), _raw(scalar))
    return result
