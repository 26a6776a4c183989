"""Replay and proof of stored blocks."""
