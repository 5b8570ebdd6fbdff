"""What the failure of a task says: was the task at fault, or was its worker lost?"""

from __future__ import annotations

from asyncio import CancelledError as CancelledInLoop
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from textwrap import shorten
from typing import TypeGuard, TypeVar

R = TypeVar("R")

LOST_BY_DASK = ("KilledWorker", "CommClosedError")
MOST_SHOWN = 160


def failure_of(done: Future[R]) -> BaseException | None:
    """What a future that is done failed with; None if it has a result."""
    return CancelledError("The task was cancelled") if done.cancelled() else done.exception()


def is_loss(failure: BaseException | None) -> TypeGuard[BaseException]:
    """Whether the worker was lost, and another may do the task."""
    if isinstance(failure, (BrokenProcessPool, CancelledError, CancelledInLoop)):
        return True
    return any(kind.__name__ in LOST_BY_DASK and of_dask(kind) for kind in type(failure).__mro__)


def of_dask(kind: type) -> bool:
    """Whether a class is of Dask's `distributed`. By name: it need not be installed."""
    return kind.__module__.startswith("distributed.")


def shown(error: BaseException) -> str:
    """The kind of an error and the beginning of what it says; Dask's say much."""
    said = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {shorten(said, MOST_SHOWN, placeholder=' …')}".rstrip(": .")
