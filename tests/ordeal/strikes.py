"""One fault at one fail-point, and the scene of a life in which it strikes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chain.errors import StorageError
from chain.storage import durable
from chain.storage.durable import Fault, SimulatedCrash
from chain.storage.snapshot import SnapshotUnwritten
from chain.wallet.errors import WalletError
from tests.ordeal.life import (
    Broken,
)

FAULTS = tuple(Fault)
STRUCK = (SimulatedCrash, StorageError, SnapshotUnwritten, WalletError, OSError)
"""What a struck step ends in: the end of the process, or an error that says so."""


@dataclass(frozen=True)
class Strike:
    """Which point fails how, after how many passes."""

    point: str
    fault: Fault
    passes: int
    seed: int

    @contextmanager
    def striking(self) -> Iterator[None]:
        """Let it strike what is done meanwhile; Broken when it strikes nothing or is swallowed."""
        durable.arm(self.point, self.fault, passes=self.passes)
        try:
            yield
        except BaseExceptionGroup as group:
            if group.subgroup(STRUCK) is None:
                raise
        except STRUCK:
            pass
        else:
            if durable.is_armed(self.point):
                raise Broken(f"nothing came by {self.point}")
            raise Broken(f"{self.fault.value} at {self.point} went unnoticed")
        finally:
            durable.disarm()


@dataclass(frozen=True)
class Scene:
    """A piece of a life with the points that it comes by, and how often at most."""

    name: str
    points: tuple[str, ...]
    play: Callable[[Path, Strike], None]
    passes_max: int = 0
