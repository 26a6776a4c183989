"""The gristmill command."""
