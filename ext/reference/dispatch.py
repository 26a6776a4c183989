"""Runs of hot calls in plain Python: the specification of `ext.native.dispatch`."""
