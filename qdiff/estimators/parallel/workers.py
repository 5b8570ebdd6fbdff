"""Workers that may die: what was lost is done again, and nothing is counted twice.

Who notices a death, and what can be done then, depends on the executor.

* A process pool that loses a process is broken for good, and does not say which task was to blame. All that
  it had not finished is sent to pools of our own with one process each. Such a pool does its tasks one after
  the other: the first that is not finished when the process dies is to blame, and the others are undisturbed.
* Dask gives the tasks of a lost worker to other workers. Where it gives a task up (`KilledWorker`) or loses
  sight of it (a cancelled future, `CommClosedError`), the task is sent again. Its executor forgets a future
  whose result gets lost while it is fetched: if for long nothing gets done, what is under way is sent again.
* A pool waits for ever for the rest of a long message whose sender died: what is long goes by files
  (`filed_results`).
* A thread dies only with the whole process.

A task that has a result is not sent again, and one result is taken, once.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

from qdiff.errors import ExecutorError
from qdiff.estimators.parallel.filed_results import Filed, filed
from qdiff.estimators.parallel.losses import failure_of, is_loss, of_dask, shown

T = TypeVar("T")
R = TypeVar("R")

MOST_RETRIES = 3
"""A task whose workers die is tried again so often."""
PULSE = 0.5
"""Seconds after which waiting looks up."""
PATIENCE = 120
"""Pulses without any result after which Dask may have forgotten what is under way."""
START_METHODS = {"SpawnProcess": "spawn", "ForkServerProcess": "forkserver", "ForkProcess": "fork"}


@dataclass(eq=False)
class _Sent(Generic[T, R]):
    """A task that was sent to a worker and whose result has not been taken.

    Attributes:
        futures: of the attempts from which a result may come; the first that is done counts.
        attempts: how often it was sent. deaths: how often its worker died.
    """

    number: int
    task: T
    futures: list[Future[R | Filed[R]]] = field(default_factory=list)
    attempts: int = 0
    deaths: int = 0

    @property
    def done(self) -> Future[R | Filed[R]] | None:
        """The attempt that counts."""
        return next((future for future in self.futures if future.done()), None)

    @property
    def failure(self) -> BaseException | None:
        """What a task that is done failed with."""
        return None if (done := self.done) is None else failure_of(done)

    @property
    def settled(self) -> bool:
        """It has a result, or failed by itself."""
        return (done := self.done) is not None and not is_loss(failure_of(done))


class Workers(Generic[T, R]):
    """The workers of an executor, or those that took their place.

    `send` gives them a task, `take` waits for the result of the first task that was sent and not taken yet.
    """

    def __init__(self, call: Callable[[T], R], executor: Executor) -> None:
        self._call = call
        self._pools: list[Executor] = [executor]
        self._own = False
        self._children: Sequence[BaseProcess] = ()
        self._sent: deque[_Sent[T, R]] = deque()
        self._number = 0
        self._name = os.urandom(8).hex()
        self._forgets = of_dask(type(executor))
        self._folder = _folder() if isinstance(executor, ProcessPoolExecutor) else None

    @property
    def under_way(self) -> int:
        """How many tasks were sent and not taken."""
        return len(self._sent)

    def send(self, task: T) -> None:
        """Give a task to a worker.

        Raises:
            ExecutorError: the executor takes no tasks.
        """
        one: _Sent[T, R] = _Sent(self._number, task)
        self._submit(one)
        self._sent.append(one)
        if self._number == 0:
            self._look_around()
        self._number += 1

    def take(self) -> R:
        """Return the result of the first task under way.

        Raises:
            ExecutorError: its workers died again and again.
            Exception: what it failed with.
        """
        first = self._sent[0]
        if first.number == 0:
            self._look_around()
        while True:
            done = self._waited(first)
            failure = failure_of(done)
            if isinstance(failure, BrokenProcessPool):
                self._replace_pool(first, failure)
            elif is_loss(failure):
                _blame(first, failure)
                self._send_again([first])
            elif isinstance(failure, BrokenExecutor):
                raise ExecutorError(
                    f"The executor is broken ({shown(failure)}). Use one whose workers can start."
                ) from failure
            else:
                _cancel(self._sent.popleft())
                result = done.result()
                return result.taken() if isinstance(result, Filed) else result

    def end(self, *, idle: bool) -> None:
        """Cancel what has not begun, and let our own processes end.

        Args:
            idle: nothing runs, so they end at once; else each ends with the task that it has begun, and
                nobody waits for that.
        """
        for one in self._sent:
            _cancel(one)
        if self._own:
            for pool in self._pools:
                pool.shutdown(wait=idle, cancel_futures=True)
        if self._folder is not None:
            self._folder.cleanup()

    def _submit(self, one: _Sent[T, R]) -> None:
        """Let another attempt be made."""
        pool = self._pools[one.number % len(self._pools)]
        name = f"{self._name}-{one.number}-{one.attempts}"
        folder = self._folder.name if self._folder else None
        one.attempts += 1
        try:
            future = pool.submit(_called, self._call, one.task, name, folder)
        except BrokenProcessPool as error:
            future = Future()  # it is mended when its turn comes
            future.set_exception(error)
        except Exception as error:
            raise ExecutorError(
                f"The executor takes no tasks ({shown(error)}). Use one that has not been shut down."
            ) from error
        one.futures.append(future)

    def _waited(self, first: _Sent[T, R]) -> Future[R | Filed[R]]:
        """Wait until a task is done, and return the attempt that counts."""
        under_way, pulses, patience = len(self._sent), 0, PATIENCE
        while (done := first.done) is None:
            if wait(first.futures, PULSE, FIRST_COMPLETED).done:
                continue
            # Python 3.11 may forget a future that is submitted while the pool breaks: then the others tell.
            for one in self._sent:
                if isinstance(failure := one.failure, BrokenProcessPool):
                    self._replace_pool(one, failure)
                    break
            waiting = [one for one in self._sent if one.done is None]
            pulses = pulses + 1 if len(waiting) == under_way else 0
            under_way = len(waiting)
            if self._forgets and pulses >= patience:
                for one in waiting:
                    self._submit(one)
                pulses, patience = 0, 2 * patience
        return done

    def _replace_pool(self, broken: _Sent[T, R], failure: BrokenProcessPool) -> None:
        """Do in a new pool what a broken one has not finished."""
        lost = [one for one in self._sent if not one.settled]
        context = _context_of(self._children)
        if not self._own:
            cores = os.cpu_count() or 1
            self._pools = [ProcessPoolExecutor(1, context) for _ in self._children[:cores] or range(cores)]
            self._own = True
            self._folder = self._folder or _folder()
        else:
            pool = broken.number % len(self._pools)
            lost = [one for one in lost if one.number % len(self._pools) == pool]
            _blame(lost[0], failure)
            self._pools[pool].shutdown(wait=False)
            self._pools[pool] = ProcessPoolExecutor(1, context)
        self._send_again(lost)

    def _send_again(self, lost: Iterable[_Sent[T, R]]) -> None:
        for one in lost:
            one.futures.clear()
            self._submit(one)

    def _look_around(self) -> None:
        """Note the processes of a pool while it is whole.

        A pool does not say how many it has, nor how it starts them. Others that this process has started are
        taken for the pool's.
        """
        children = active_children()
        if len(children) > len(self._children):
            self._children = children


def _called(call: Callable[[T], R], task: T, attempt: str, folder: str | None) -> R | Filed[R]:
    """Return call(task).

    Args:
        attempt: its name. To a call with arguments that it knows Dask gives what came of it before, be it the
            death of a worker.
        folder: for large results; None sends them as they are.
    """
    result = call(task)
    return result if folder is None else filed(result, os.path.join(folder, attempt))


def _folder() -> TemporaryDirectory[str]:
    """A folder for large results. Processes that are not waited for may write there when it is removed."""
    return TemporaryDirectory(prefix="qdiff-", ignore_cleanup_errors=True)


def _cancel(one: _Sent[T, R]) -> None:
    for future in one.futures:
        future.cancel()


def _blame(one: _Sent[T, R], failure: BaseException) -> None:
    """Count a death.

    Raises:
        ExecutorError: there were too many.
    """
    one.deaths += 1
    if one.deaths > MOST_RETRIES:
        raise ExecutorError(
            f"Task {one.number} (counted from 0) is given up: its workers died at {one.deaths} attempts "
            f"({shown(failure)}). Workers are often killed for lack of memory: use fewer workers, or run "
            "without `executor` to see what happens."
        ) from failure


def _context_of(children: Iterable[BaseProcess]) -> BaseContext | None:
    """How these processes were started; None, the platform's way, if there are none.

    A forked process must not take the place of a spawned one: threads may run by now. A spawned one must not
    take the place of a forked one: it imports the main module, which may have no guard.
    """
    kinds = {type(child).__name__ for child in children}
    return next((get_context(method) for name, method in START_METHODS.items() if name in kinds), None)
