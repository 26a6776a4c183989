"""Providers: who sells computing, what they have at stake, and what stands behind each job."""

from runtime.market.providers.module import Providers
from runtime.market.providers.nouns import Terms, WorkBond
from runtime.market.providers.refusals import NoFreeBond

__all__ = ["NoFreeBond", "Providers", "Terms", "WorkBond"]
