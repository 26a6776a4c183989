"""The table by which work is counted: devices, programs, frameworks."""

from runtime.market.work_units.module import WorkUnits
from runtime.market.work_units.nouns import (
    DEV_CLASSES,
    PUBLIC_CLASSES,
    REFERENCE_PROGRAM,
    Framework,
    HardwareClass,
    OpsTerm,
    ParamField,
    Prices,
    Program,
    UnknownClass,
    compute_ops,
)

__all__ = [
    "DEV_CLASSES",
    "PUBLIC_CLASSES",
    "REFERENCE_PROGRAM",
    "Framework",
    "HardwareClass",
    "OpsTerm",
    "ParamField",
    "Prices",
    "Program",
    "UnknownClass",
    "WorkUnits",
    "compute_ops",
]
