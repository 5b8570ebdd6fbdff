"""Tasks on workers, the results in the order of the tasks.

    for result in in_order(call, tasks, executor): ...      # call(tasks[0]), call(tasks[1]), …

The results are those of `map(call, tasks)`, whatever the number of workers and whoever computed what: a task
says all that its result depends on, and gives one result, however often it was tried. If several tasks fail,
the error is that of the first of them in order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from qdiff.errors import ExecutorError

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")
R = TypeVar("R")

WINDOW = max(64, 2 * (os.cpu_count() or 1))
"""Tasks under way, or done and waiting for their turn: these are in memory together, some megabytes each. An
executor does not say how many workers it has. A pool has about as many as there are cores, and two tasks for
each leave none idle; the cores say nothing of a cluster, for which 64 tasks are a beginning."""


def in_order(call: Callable[[T], R], tasks: Iterable[T], executor: Executor | None = None) -> Iterator[R]:
    """Yield call(task) for every task, in the order of the tasks.

    What a worker that dies had not finished is done again by another. A process pool that lost a process is
    broken for good; then the work goes on in processes of our own, started as its were and at most as many,
    which end with the work. The executor itself is left as it is.

    Args:
        call: a function of a module; what it returns depends on its argument only.
        tasks: values that can be sent to a worker. They are read ahead of the results, on which they must not
            depend.
        executor: any `concurrent.futures.Executor`: a process or thread pool, Dask's `client.get_executor()`,
            `mpi4py.futures`. None computes in the calling process.

    Raises:
        ExecutorError: no executor, one that takes no tasks, or a task whose workers died again and again.
        Exception: what `call` raises, as it is. Tasks that have not begun are cancelled then, and also at
            Ctrl-C and where the iterator is closed early.
    """
    if executor is None:
        return map(call, tasks)
    _check(executor)
    return _results(call, tasks, executor)


def _results(call: Callable[[T], R], tasks: Iterable[T], executor: Executor) -> Iterator[R]:
    from qdiff.estimators.parallel.workers import Workers  # it loads `multiprocessing`

    workers = Workers(call, executor)
    complete = False
    try:
        for task in tasks:
            workers.send(task)
            if workers.under_way == WINDOW:
                yield workers.take()
        while workers.under_way:
            yield workers.take()
        complete = True
    finally:
        workers.end(idle=complete)


def _check(executor: object) -> None:
    """Raises ExecutorError: it is no executor."""
    from concurrent.futures import Executor

    if isinstance(executor, Executor):
        return
    kind = type(executor).__name__
    if isinstance(executor, type) and issubclass(executor, Executor):
        found, hint = f"the class {executor.__name__} itself", f"Make one: `{executor.__name__}()`."
    elif isinstance(executor, int):
        found, hint = repr(executor), f"Use `ProcessPoolExecutor({executor})` for so many processes."
    elif hasattr(executor, "get_executor"):
        found, hint = f"a {kind}", "Use what its `get_executor()` returns."
    else:
        found = f"a {kind}"
        hint = "Use a ProcessPoolExecutor, Dask's `client.get_executor()`, or an executor of mpi4py.futures."
    raise ExecutorError(f"`executor` must be a concurrent.futures.Executor or None, got {found}. {hint}")
