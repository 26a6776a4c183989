"""The market outside of the chain: what trains, checks and argues there, and the data it needs."""
