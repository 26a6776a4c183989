"""Datasets: what jobs train on, who has it, what it costs, who is paid, and what proves it."""

from runtime.market.datasets.module import Datasets

__all__ = ["Datasets"]
