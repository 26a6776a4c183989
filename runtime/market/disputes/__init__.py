"""Disputes: who doubts a result stakes a deposit, and the chain finds the step that is wrong."""

from runtime.market.disputes.module import Disputes

__all__ = ["Disputes"]
