"""Treasury: what everybody paid in, spent only by vote, and never faster than the constitution."""

from runtime.treasury.module import Treasury

__all__ = ["Treasury"]
