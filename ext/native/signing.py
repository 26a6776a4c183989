"""Interim: the plain twin until the compiled one is built."""

from ext.reference.signing import *  # noqa: F403  # the very same names
