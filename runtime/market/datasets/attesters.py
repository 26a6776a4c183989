"""Attesters: who vouches, with a bond, for where datasets come from; a part of Datasets."""

from dataclasses import replace

from runtime.balances import BurnCause, HoldReason
from runtime.frame.parameters import PERBILL
from runtime.frame.storage import StorageMap, stored
from runtime.market.datasets.events import (
    Attested,
    AttesterBonded,
    AttesterBondTooSmall,
    AttesterLeaving,
    AttesterLeft,
    AttesterSlashed,
    AttesterWithdrew,
    CaseIsOpen,
    DatasetNotActive,
    NotAttested,
    NotDue,
    NothingHeld,
    OwnDataset,
    Retracted,
    TooManyAttestations,
    ZeroAmount,
)
from runtime.market.datasets.nouns import (
    ATTESTATIONS_MAX,
    ATTESTER_BOND,
    ATTESTER_ERAS,
    ATTESTER_SLASH,
    NO_ATTESTER,
    Attestation,
    AttestationList,
    Attester,
    DatasetState,
)
from runtime.market.datasets.registry import TWOX, Registry
from runtime.primitives import U32, AccountId


class Attesters(Registry):
    """Bonds of attesters, and what they attest."""

    attesters: StorageMap[AccountId, Attester] = stored(default=NO_ATTESTER)
    attestations: StorageMap[U32, AttestationList] = stored(default=(), hasher=TWOX)

    def is_attester(self, who: AccountId) -> bool:
        """Whether what an account attests counts: it has the whole bond, and is not leaving."""
        attester = self.attesters[who]
        return not attester.due and attester.bond >= ATTESTER_BOND.read(self.ctx)

    def is_attested(self, number: int) -> bool:
        """Whether somebody vouches for a dataset whose word counts now."""
        return any(self.is_attester(entry.attester) for entry in self.attestations[number])

    def bond_attester(self, who: AccountId, amount: int) -> None:
        """Put money behind one's word; raises AttesterLeaving or AttesterBondTooSmall."""
        attester = self.attesters[who]
        if attester.due:
            raise AttesterLeaving
        bond = attester.bond + amount
        if not amount:
            raise ZeroAmount
        if bond < ATTESTER_BOND.read(self.ctx):
            raise AttesterBondTooSmall
        self.balances.hold(who, HoldReason.SERVICE, amount)
        self.attesters[who] = Attester(bond, 0)
        self.emit(AttesterBonded(who, bond))

    def leave_attester(self, who: AccountId) -> None:
        """Let one's word count no more; raises NothingHeld or AttesterLeaving."""
        attester = self.attesters[who]
        if not attester.bond:
            raise NothingHeld
        if attester.due:
            raise AttesterLeaving
        eras = ATTESTER_ERAS.read(self.ctx)
        due = self.ctx.block.height + eras * self.numbers.era_blocks
        self.attesters[who] = replace(attester, due=due)
        self.emit(AttesterLeft(who, due))

    def withdraw_attester(self, who: AccountId) -> None:
        """Free the bond of an attester that left; raises NothingHeld or NotDue."""
        attester = self.attesters[who]
        if not attester.due:
            raise NothingHeld
        if self.ctx.block.height < attester.due:
            raise NotDue
        self.balances.release(who, HoldReason.SERVICE, attester.bond)
        del self.attesters[who]
        self.emit(AttesterWithdrew(who, attester.bond))

    def add_attestation(self, number: int, who: AccountId, digest: bytes) -> None:
        """Vouch for a dataset, or anew with another digest; what no longer counts makes room."""
        dataset = self.dataset(number)
        if dataset.state is not DatasetState.ACTIVE:
            raise DatasetNotActive
        if dataset.owner == who:
            raise OwnDataset
        if not self.is_attester(who):
            raise AttesterBondTooSmall
        others = [entry for entry in self.attestations[number] if entry.attester != who]
        if len(others) >= ATTESTATIONS_MAX:
            others = [entry for entry in others if self.is_attester(entry.attester)]
        if len(others) >= ATTESTATIONS_MAX:
            raise TooManyAttestations
        made = Attestation(who, digest, self.ctx.block.height)
        self.attestations[number] = (*others, made)
        self.emit(Attested(number, who, digest))

    def drop_attestation(self, number: int, who: AccountId) -> None:
        """Stop vouching for a dataset that is not challenged; raises NotAttested or CaseIsOpen."""
        if self.dataset(number).cases:
            raise CaseIsOpen
        before = self.attestations[number]
        others = tuple(entry for entry in before if entry.attester != who)
        if others == before:
            raise NotAttested
        self.attestations[number] = others
        self.emit(Retracted(number, who))

    def slash_attesters(self, number: int) -> None:
        """Burn a part of the bond of everybody who vouches for a dataset, leaving or not."""
        share = ATTESTER_SLASH.read(self.ctx)
        for entry in self.attestations[number]:
            attester = self.attesters[entry.attester]
            lost = -(-attester.bond * share // PERBILL)
            if not lost:
                continue
            self.balances.burn_held(BurnCause.WORK_SLASH, entry.attester, HoldReason.SERVICE, lost)
            rest = replace(attester, bond=attester.bond - lost)
            self.attesters[entry.attester] = rest if rest.bond or rest.due else NO_ATTESTER
            self.emit(AttesterSlashed(entry.attester, number, lost))
        del self.attestations[number]
