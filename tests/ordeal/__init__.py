"""Ordeals of what a node keeps on disk: crashes, power cuts, flipped bits, tampering, a full disk.

    crash    every fail-point of `chain.storage.durable`, every fault, in a life that comes by it
    power    a disk that keeps what was synced, and of the rest whatever it likes
    rot      one flipped bit in one file of a home
    tamper   a changed archive or block store under an audit

`python -m tests.ordeal KIND --count N --seed S --resume FILE`; see docs/reliability.md.
"""
