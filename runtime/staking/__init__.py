"""Staking: who puts money behind whom, what it earns, and what it loses."""
