"""Emission: how new money comes into being, bounded in every era and for all time."""
