"""Chain specs and published tables, as package data."""
