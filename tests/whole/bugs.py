"""Bugs planted on purpose outside the machine: each a replacement of a few words of the code.

`harness` says which tool is to see it; the machine's own bugs stay with their simulator
(tests.simulation.mutants) and count here as well. A bug is critical to safety when it can let two
blocks be final at one height, a final block or a signature be forgotten, a false block or money out
of nothing be accepted, or a culprit keep what it owes; others cost progress.
"""

from dataclasses import dataclass
from typing import Final

from tests.whole.plant import Change


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug."""

    name: str
    area: str
    harness: str
    changes: tuple[Change, ...]
    is_critical: bool = True
    needs: tuple[str, ...] = ()
    """Faults without which a schedule of whole nodes cannot show it, such as `lie forge`."""


def _bug(
    name: str, area: str, harness: str, *changes: tuple[str, str, str], needs: tuple[str, ...] = ()
) -> Bug:
    made = tuple(Change(*change) for change in changes)
    return Bug(name, area, harness, made, needs=needs)


def _slow(
    name: str, area: str, harness: str, *changes: tuple[str, str, str], needs: tuple[str, ...] = ()
) -> Bug:
    made = tuple(Change(*change) for change in changes)
    return Bug(name, area, harness, made, is_critical=False, needs=needs)


JOURNAL: Final = (
    _bug(
        "a signature leaves before its journal is synced", "journal", "whole",
        ("chain.storage.journal:SigningJournal.write",
         "durable.fdatasync(self._fd, _WRITE_SYNC)", "pass"),
    ),
    _bug(
        "the floor is not looked at", "journal", "oath",
        ("chain.signer:Signer._journal_request", "if position <= state.floor:", "if False:"),
    ),
    _bug(
        "the older slot of the journal counts", "journal", "oath",
        ("chain.storage.journal:_load", "= max(valid,", "= min(valid,"),
    ),
    _bug(
        "a torn record of the journal counts", "journal", "oath",
        ("chain.storage.journal:_decode_record",
         "hashing.blake2b_128(data[:end]) != data[end : end + _CHECK_BYTES]", "False"),
    ),
    _bug(
        "signing for a new height forgets the kind", "journal", "oath",
        ("chain.signer:Signer._journal_request",
         "height, round_, kind = position", "height, round_, kind = *position[:2], 0"),
    ),
    _slow(
        "the machine does not begin where its journal stands", "journal", "whole",
        ("chain.driver:Driver._find_record",
         "return record if record.height == height else None", "return None"),
        needs=("blackout",),
    ),
    _bug(
        "a decided block is not synced", "storage", "whole",
        ("chain.storage.database:Database.write_held",
         "self.write(point, fill)", "self.write(point, fill, is_synced=False)"),
        needs=("power",),
    ),
    _bug(
        "the finality journal is not written", "storage", "whole",
        ("chain.storage.state:StateStore._record_finality",
         "self.journal.append_many([record for record in records if record.height > known])",
         "pass"),
    ),
    _slow(
        "bodies that were signed for are not kept", "storage", "whole",
        ("chain.storage.state:StateStore.save_candidate",
         "self.database.write(CANDIDATE, lambda batch: batch.put(key, block.encode()))",
         "return"),
        needs=("blackout",),
    ),
    _bug(
        "a start stops short of the newest differences", "storage", "whole",
        ("chain.storage.state:open_state",
         'range(read_height(database, b"flat") + 1, height + 1)',
         'range(read_height(database, b"flat") + 1, height)'),
    ),
)  # fmt: skip
"""Bugs of the signing journal and of the disk."""

SYNC: Final = (
    _bug(
        "a decision of a peer is believed", "sync", "whole",
        ("chain.ledger:ChainLedger._check_decision",
         "if not self._importer.verify_commits([commit], self._importer.schedule.current):",
         "if False:"),
        ("chain.importer:Importer.decide",
         "if not self.verify_commit(executed, commit):", "if False:"),
        needs=("lie boast",),
    ),
    _bug(
        "signatures of votes are not verified", "sync", "whole",
        ("chain.ballots:BallotJudge._verify",
         "return _verify_all(ballots, validators, genesis_hash)", "return True"),
        needs=("lie forge",),
    ),
    _bug(
        "signatures of certificates are not verified", "sync", "whole",
        ("chain.driver:Driver.hear_certificate",
         "if not good:", "if False:"),
        needs=("lie forge",),
    ),
    _bug(
        "what a block leaves behind is not compared", "sync", "whole",
        ("chain.importer:check_result", "if claimed != found:", "if False:"),
        needs=("lie invalid",),
    ),
    _slow(
        "nobody tells a peer what was decided without it", "sync", "whole",
        ("chain.driver:Driver.hear_status", "if decision is not None:", "if False:"),
        needs=("split",),
    ),
    _slow(
        "nobody says where it stands", "sync", "whole",
        ("chain.driver:Driver._tell_status",
         "await self.voices.send_status(build_status(self.machine))", "pass"),
    ),
    _slow(
        "a node that synced goes on where it was", "sync", "whole",
        ("chain.driver:Driver.suspended", "if self.ledger.tip.number != before:", "if False:"),
        needs=("split",),
    ),
    _slow(
        "the body of a proposal is asked for once only", "sync", "whole",
        ("chain.jobs:Jobs._get_block",
         "await trio.sleep(FETCH_RETRY_SECONDS)", "return None"),
        needs=("lie withhold",),
    ),
    _bug(
        "the set of the next height acts a height early", "consensus", "whole",
        ("chain.ledger:ChainLedger.validators_at",
         "return self._chain.blocks.validators_at(height)",
         "return self._chain.blocks.validators_at(height + (height == self.tip.number + 1))"),
    ),
)  # fmt: skip
"""Bugs of what peers are believed."""

CODEC: Final = (
    _bug(
        "an envelope may be written in two ways", "codec", "garble",
        ("chain.network.packing:decode_packed",
         "if encode_packed(value) != payload:", "if False:"),
    ),
    _slow(
        "arrays may be nested without end", "codec", "garble",
        ("chain.network.packing:_check_shape", "if len(due) > depth_max + 1:", "if False:"),
    ),
    _bug(
        "fields that nobody knows are passed over", "codec", "garble",
        ("chain.network.fields:FieldReader.finish",
         "if self._next != len(self._fields):", "if False:"),
    ),
    _bug(
        "byte strings may have any length", "codec", "garble",
        ("chain.network.fields:FieldReader.take_bytes",
         "not minimum <= len(value) <= maximum", "False"),
    ),
    _bug(
        "a certificate may hold a vote twice", "codec", "garble",
        ("consensus.ballots:Certificate.check", "if vote.index <= previous:", "if False:"),
    ),
    _bug(
        "the votes of a certificate may differ", "codec", "garble",
        ("consensus.ballots:Certificate.check",
         "(vote.kind, vote.height, vote.round, vote.block_id, vote.valid_round) != subject",
         "False"),
    ),
    _bug(
        "a commit may name more signers than it has signatures", "codec", "garble",
        ("consensus.ballots:Commit.check",
         "if len(signers) != len(self.signatures):", "if False:"),
    ),
    _bug(
        "a header may have digest items of another engine", "codec", "garble",
        ("consensus.header:_open_item", "if bytes(engine) != ENGINE_ID:", "if False:"),
    ),
    _bug(
        "the tag of a digest item is not compared", "codec", "garble",
        ("consensus.header:_open_item", "if payload[:1] != bytes((tag,)):", "if False:"),
    ),
    _bug(
        "a header commits to any body", "codec", "garble",
        ("consensus.types:Block.check_body",
         "if extrinsics_root(self.extrinsics) != header.extrinsics_root:", "if False:"),
    ),
    _bug(
        "a precommit may have a valid round", "codec", "garble",
        ("consensus.ballots:Vote.check", "if self.valid_round != NO_ROUND:", "if False:"),
    ),
)  # fmt: skip
"""Bugs of what is read from bytes."""

STAKING: Final = (
    _bug(
        "stake that is liable may leave", "staking", "evasion",
        ("runtime.staking.ledger:withdraw",
         "min(unlocked, ledger.total - liable)", "min(unlocked, ledger.total)"),
    ),
    _bug(
        "a slash spares what unbonds", "staking", "evasion",
        ("runtime.staking.ledger:take",
         "take_newest(ledger.unlocking, amount - from_active)",
         "take_newest(ledger.unlocking, 0)"),
    ),
    _bug(
        "stake unbonds too soon", "staking", "bonds",
        ("runtime.staking.ledger:unbond",
         "chunks = (*chunks, UnlockChunk(amount, era))",
         "chunks = (*chunks, UnlockChunk(amount, era - 3))"),
    ),
    _bug(
        "every report is charged anew", "staking", "evasion",
        ("runtime.staking.fractions:charge",
         "amount = max(owed, fraction.of(total))", "amount = owed + fraction.of(total)"),
    ),
    _bug(
        "what is bonded again unbonds as well", "staking", "bonds",
        ("runtime.staking.ledger:rebond", "unlocking=chunks", "unlocking=ledger.unlocking"),
    ),
    _bug(
        "a share of the power is not squared", "staking", "evasion",
        ("runtime.staking.fractions:equivocation",
         "9 * offending * offending, total * total", "3 * offending, total"),
    ),
    _bug(
        "nominators pay again what those before them paid", "staking", "evasion",
        ("runtime.staking.fractions:Split.next",
         "parts.append(reached - self.paid)", "parts.append(reached)"),
    ),
    _slow(
        "unbonding takes from active stake alone what is there twice", "staking", "bonds",
        ("runtime.staking.ledger:unbond", "if amount > ledger.active:",
         "if amount > ledger.total:"),
    ),
)  # fmt: skip
"""Bugs of stake and of its punishment."""

ESCROW: Final = (
    _bug(
        "a refund pays the compensation, too", "escrow", "jobs",
        ("runtime.market.jobs.book:Book._refund",
         "left = job.escrow - burned + annex.reserve", "left = job.escrow + annex.reserve"),
    ),
    _bug(
        "a job that ends keeps its escrow", "escrow", "jobs",
        ("runtime.market.jobs.course:Course._end",
         "refund = self._refund(id_, job)",
         "refund = type('Refund', (), {'released': 0, 'restored': 0, 'burned': 0})"),
    ),
    _bug(
        "what is due of an ended job happens again", "escrow", "jobs",
        ("runtime.market.jobs.course:Course._do_due",
         "if job is None or job.turn != turn or job.state >= JobState.SETTLED:",
         "if job is None:"),
    ),
    _bug(
        "what a waterfall paid stays in the escrow", "escrow", "jobs",
        ("runtime.market.jobs.course:Course._count_escrow",
         "return replace(job, escrow=job.escrow + change)", "return job"),
    ),
    _bug(
        "a bond outlives its job", "escrow", "jobs",
        ("runtime.market.jobs.course:Course._end_work",
         "if providers.bond(id_) is not None:", "if False:"),
    ),
    _bug(
        "the deposit for a start is counted for ever", "escrow", "jobs",
        ("runtime.market.jobs.course:Course._end_start_deposit",
         "self.deposit_total -= amount", "pass"),
    ),
    _bug(
        "what was burned for bidders is paid back", "escrow", "jobs",
        ("runtime.market.jobs.course:Course._charge_bidding",
         "return replace(job, escrow=job.escrow - cost)", "return job"),
    ),
    _bug(
        "what was given back is in the escrow still", "escrow", "jobs",
        ("runtime.market.jobs.book:Book._give_back",
         "return replace(job, escrow=job.escrow - amount)", "return job"),
    ),
)  # fmt: skip
"""Bugs of what is held for jobs."""

LEDGER: Final = (
    _bug(
        "dust is lost", "ledger", "money",
        ("runtime.balances.module:Balances._debit", "if free:", "if False:"),
    ),
    _bug(
        "a hold is counted whole each time it grows", "ledger", "money",
        ("runtime.balances.module:Balances._set_hold",
         "self.held_totals[reason] += amount - self.held(who, reason)",
         "self.held_totals[reason] += amount"),
    ),
    _bug(
        "what is burned still exists", "ledger", "money",
        ("runtime.balances.module:Balances.destroy",
         "self._post_issuance(Posting(cause, source, None, amount), -amount)",
         "self._post_issuance(Posting(cause, source, None, amount), 0)"),
    ),
    _bug(
        "frozen money may leave", "ledger", "money",
        ("runtime.balances.module:Balances._check_withdrawal",
         "(record[1] or record[6]) and rest < untouchable(record)", "False"),
    ),
    _bug(
        "a call that fails leaves what it did", "ledger", "money",
        ("runtime.executive:Executive.run_call",
         "    except (CallError, BadOrigin) as failure:\n        ctx.revert(depth)\n",
         "    except (CallError, BadOrigin) as failure:\n        ctx.commit()\n"),
    ),
    _bug(
        "what is released stays held", "ledger", "money",
        ("runtime.balances.module:Balances.release",
         "self._lower_hold(who, reason, amount)", "pass"),
    ),
    _bug(
        "the causes of new money are not counted", "ledger", "money",
        ("runtime.balances.module:Balances.mint",
         "self.minted[cause] += amount", "pass"),
    ),
)  # fmt: skip
"""Bugs of accounts and of the sums over them."""

BUGS: Final = (*JOURNAL, *SYNC, *CODEC, *STAKING, *ESCROW, *LEDGER)
"""All of them."""
