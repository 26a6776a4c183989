"""Governance: proposals that holders of GRIST vote on, and that the chain itself carries out."""

from runtime.governance.asset import Votes
from runtime.governance.referenda import Referenda
from runtime.governance.voting import ConvictionVoting

__all__ = ["ConvictionVoting", "Referenda", "Votes"]
