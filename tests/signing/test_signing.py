"""A few hundred random lives of a key, and mutants of the signer that they must find."""

import os

import pytest

from chain.signer import Signer
from tests.signing.walks import Counts, run_sequence

SEED = 20_261
SEQUENCES = 120


@pytest.fixture(autouse=True)
def _trusted_disk(monkeypatch):
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: None)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def live(tmp_path, sequences=SEQUENCES):
    counts, wrong = Counts(), []
    for number in range(sequences):
        wrong += [f"{number}: {one}" for one in run_sequence(SEED, number, tmp_path, counts)]
        if wrong:
            break
    return counts, wrong


def test_no_life_of_a_key_signs_twice_or_otherwise_than_the_oracle_says(tmp_path):
    counts, wrong = live(tmp_path)
    assert not wrong, f"python -m tests.signing --seed {SEED} --only {wrong[0]}"
    assert counts.sequences == SEQUENCES
    assert min(counts.signed, counts.crashes, counts.restores) > SEQUENCES // 2


def forget_what_was_signed(monkeypatch):
    monkeypatch.setattr(Signer, "_write", lambda self, state: setattr(self, "_state", state))


def sign_before_it_is_durable(monkeypatch):
    real = Signer._journal_request

    def late(self, message, signed_bytes, record):
        try:
            real(self, message, signed_bytes, record)
        except BaseException as error:
            if type(error).__name__ not in ("SimulatedCrash", "StorageError"):
                raise

    monkeypatch.setattr(Signer, "_journal_request", late)


def hear_no_vote(monkeypatch):
    monkeypatch.setattr(Signer, "on_vote", lambda *_heard: False)


def take_a_copy_for_the_original(monkeypatch):
    monkeypatch.setattr(Signer, "is_moved", False)


def sign_while_listening(monkeypatch):
    monkeypatch.setattr(Signer, "is_listening", False)


@pytest.mark.parametrize(
    "mutant",
    [
        forget_what_was_signed, sign_before_it_is_durable, hear_no_vote,
        take_a_copy_for_the_original, sign_while_listening,
    ],
    ids=lambda mutant: mutant.__name__,
)  # fmt: skip
def test_the_lives_find_a_signer_that_lacks_one_of_its_rules(tmp_path, monkeypatch, mutant):
    mutant(monkeypatch)
    assert live(tmp_path, 2 * SEQUENCES)[1]
