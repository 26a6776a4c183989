"""Compiled modules (Cython); each has a twin of the same name in `ext.reference`."""
