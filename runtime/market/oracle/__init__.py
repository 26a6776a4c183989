"""Oracle: what a GRIST is worth, by the word of several who have something to lose."""

from runtime.market.oracle.module import Oracle

__all__ = ["Oracle"]
