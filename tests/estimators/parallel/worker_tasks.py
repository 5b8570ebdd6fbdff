"""Calls that workers do in tests: they square a number, and some fail, die, or tell where they are."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffSyntaxError

MESSAGE = "walk.qprog:7:9: qubit `u3` is not declared."


@dataclass(frozen=True)
class Square:
    """One task.

    Attributes:
        number: what is squared.
        folder: where each run of a task leaves a file; "" leaves none.
        deaths: how many runs of this task kill their process.
        seconds: how long it takes.
        fails: it raises an error of qdiff.
    """

    number: int
    folder: str = ""
    deaths: int = 0
    seconds: float = 0.0
    fails: bool = False


def square(task: Square) -> int:
    if task.folder:
        before = runs(task)
        Path(task.folder, f"{task.number}-{before}-{os.getpid()}").touch()
        if before < task.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(task.seconds)
    if task.fails:
        raise QdiffSyntaxError(f"{task.number}: {MESSAGE}", line=7, column=9, hint="Did you mean `u2`?")
    return task.number**2


def runs(task: Square) -> int:
    """How often a task was begun."""
    return len(list(Path(task.folder).glob(f"{task.number}-*")))


def where(task: Square) -> tuple[int, int, str]:
    """The square, the process that did it, and of what kind that is."""
    return square(task), os.getpid(), type(current_process()).__name__


class Fuse:
    """When it has been pickled, its process is killed after a moment."""

    def __init__(self, burns: bool) -> None:
        self.burns = burns

    def __reduce__(self) -> tuple[type[Fuse], tuple[bool]]:
        if self.burns:
            threading.Timer(0.003, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return Fuse, (False,)


def large(task: Square) -> tuple[NDArray[np.float64], Fuse]:
    """64 MB; a deadly run kills its process while they are on their way."""
    before = runs(task)
    Path(task.folder, f"{task.number}-{before}").touch()
    return np.full(2**23, float(task.number)), Fuse(before < task.deaths)


def no_start() -> None:
    raise RuntimeError("no start")
