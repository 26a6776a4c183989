"""Fuzzing: hostile bytes for every decoder and door, hostile calls for the runtime.

    python -m tests.fuzz run all --count 1000000 --seed 1 --resume FILE
    python -m tests.fuzz calls --count 500000 --seed 1 --resume FILE
    python -m tests.fuzz twins --count 100000 --seed 1 --resume FILE

A seed is a whole round; the same seed gives the same inputs and the same trace hash on every
machine, under every hash seed, and on the compiled core and the plain one alike.
"""
