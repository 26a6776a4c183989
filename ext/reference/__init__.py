"""The plain twins: slow, obvious, and the specification of `ext.native`."""
