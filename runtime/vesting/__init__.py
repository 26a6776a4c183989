"""Vesting: money that is somebody's already, and becomes theirs to move bit by bit."""
