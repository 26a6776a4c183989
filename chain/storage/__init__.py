"""Blocks, state, journals and archives on disk."""
