"""Verification: drawn audits by bonded verifiers, canaries that keep them honest, replication."""

from runtime.market.verification.module import Verification

__all__ = ["Verification"]
