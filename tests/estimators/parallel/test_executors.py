"""Tasks on threads and processes: order, a bounded number under way, deaths, errors, interruptions."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_all_start_methods, get_context
from pathlib import Path

import pytest
from estimators.parallel.worker_tasks import MESSAGE, Square, large, no_start, runs, square, where

import qdiff
from qdiff.errors import ExecutorError, QdiffSyntaxError
from qdiff.estimators.parallel import workers
from qdiff.estimators.parallel.executors import WINDOW, in_order
from qdiff.estimators.parallel.workers import MOST_RETRIES

METHODS = get_all_start_methods()
CLASSES = {"fork": "ForkProcess", "spawn": "SpawnProcess", "forkserver": "ForkServerProcess"}
pytestmark = pytest.mark.filterwarnings(
    # From Python 3.12 on fork warns where threads run: those of pools, ours among them.
    "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
)


def squares(count: int) -> list[int]:
    return [number**2 for number in range(count)]


def deadly(count: int, folder: Path, deaths: dict[int, int]) -> list[Square]:
    return [Square(number, str(folder), deaths=deaths.get(number, 0)) for number in range(count)]


def processes(method: str, number: int = 2) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(number, mp_context=get_context(method))


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    before = set(active_children())
    yield
    deadline = time.monotonic() + 20
    while set(active_children()) - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not set(active_children()) - before


def test_without_an_executor_the_calling_process_works() -> None:
    asked = []
    tasks = (asked.append(n) or Square(n) for n in range(5))
    results = in_order(where, tasks)
    assert not asked
    assert next(results)[1] == os.getpid()
    assert asked == [0]
    assert len(list(results)) == 4


@pytest.mark.parametrize("number", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks(number: int) -> None:
    """The later a task, the sooner it is done."""
    with ThreadPoolExecutor(number) as pool:
        tasks = [Square(n, seconds=0.02 - n / 1000) for n in range(20)]
        assert list(in_order(square, tasks, pool)) == squares(20)


def test_processes_give_what_the_calling_process_gives() -> None:
    with processes("fork") as pool:
        assert list(in_order(square, map(Square, range(50)), pool)) == squares(50)
        assert list(in_order(square, [], pool)) == []


def test_a_bounded_number_of_tasks_is_under_way() -> None:
    asked = 0

    def tasks() -> Iterator[Square]:
        nonlocal asked
        for number in range(4 * WINDOW):
            asked += 1
            yield Square(number)

    with ThreadPoolExecutor(2) as pool:
        for taken, result in enumerate(in_order(square, tasks(), pool), start=1):
            assert result == (taken - 1) ** 2
            assert asked == min(taken - 1 + WINDOW, 4 * WINDOW)


@pytest.mark.parametrize("method", METHODS)
def test_a_process_that_dies_takes_nothing_with_it(method: str, tmp_path: Path) -> None:
    """Task 0 breaks the pool; then 7 breaks a process of ours. They are started as the pool's were."""
    tasks = deadly(30, tmp_path, {0: 1, 7: 2})
    with processes(method) as pool:
        found = list(in_order(where, tasks, pool))
    assert [value for value, _, _ in found] == squares(30)
    assert {kind for _, _, kind in found} == {CLASSES[method]}
    assert [runs(task) for task in tasks if task.deaths] == [2, 3]


def test_a_process_that_dies_while_it_sends_a_large_result(tmp_path: Path) -> None:
    """In the pool that was handed in, and in ours. Half a message would be waited for, for ever."""
    tasks = deadly(5, tmp_path, {1: 1, 3: 2})
    with processes("fork") as pool:
        found = [array for array, _ in in_order(large, tasks, pool)]
    assert [(len(array), array.min(), array.max()) for array in found] == [(2**23, n, n) for n in range(5)]
    assert all(array.flags.writeable for array in found)
    assert [runs(task) > task.deaths for task in tasks] == [True] * 5


def test_a_broken_pool_is_left_as_it_is_and_serves_again(tmp_path: Path) -> None:
    """Broken, but not shut down."""
    tasks = deadly(30, tmp_path, {3: 1})
    with processes("fork") as pool:
        assert list(in_order(square, tasks, pool)) == squares(30)
        with pytest.raises(BrokenProcessPool):
            pool.submit(square, tasks[0])
        assert list(in_order(square, tasks, pool)) == squares(30)


def test_only_what_was_not_finished_is_done_again(tmp_path: Path) -> None:
    """The last of 40 tasks dies when the others are done."""
    tasks = [Square(n, str(tmp_path), deaths=int(n == 39), seconds=0.002) for n in range(40)]
    with processes("fork", 1) as pool:
        assert list(in_order(square, tasks, pool)) == squares(40)
    assert [runs(task) for task in tasks] == [1] * 39 + [2]


def test_our_own_processes_are_as_many_as_the_pool_had(tmp_path: Path) -> None:
    tasks = [Square(n, str(tmp_path), deaths=int(n == 0), seconds=0.01) for n in range(20)]
    with processes("fork", 2) as pool:
        wait([pool.submit(square, Square(n, seconds=0.1)) for n in range(2)])
        old = {child.pid for child in active_children()}
        found = {pid for _, pid, _ in in_order(where, tasks, pool)}
    assert len(old) == 2
    assert len(found - old) == min(2, os.cpu_count() or 1)


@pytest.mark.parametrize(("bad", "number"), [(0, 1), (3, 2), (299, 2)])
def test_a_task_that_kills_every_worker_is_named(bad: int, number: int, tmp_path: Path) -> None:
    tasks = deadly(300, tmp_path, {bad: 100})
    found: list[int] = []
    with processes("fork", number) as pool, pytest.raises(ExecutorError) as caught:
        found.extend(in_order(square, tasks, pool))
    assert str(caught.value).startswith(
        f"Task {bad} (counted from 0) is given up: its workers died at {MOST_RETRIES + 1} attempts "
        "(BrokenProcessPool: A "
    )
    assert str(caught.value).endswith(
        "Workers are often killed for lack of memory: use fewer workers, or run without `executor` to see "
        "what happens."
    )
    assert found == squares(300)[: len(found)]
    assert isinstance(caught.value.__cause__, BrokenProcessPool)
    # Once in the pool, which does not tell who was to blame, and MOST_RETRIES + 1 times in ours.
    assert runs(tasks[bad]) == MOST_RETRIES + 2


class Forgetful(Executor):
    """It breaks while a task is submitted, and forgets this task's future, as Python 3.11 may."""

    def __init__(self) -> None:
        self.futures: list[Future[int]] = []

    def submit(self, fn, /, *args, **kwargs):
        self.futures.append(Future())
        if len(self.futures) == 2:
            self.futures[-1].set_exception(BrokenProcessPool("A process died"))
        return self.futures[-1]


def test_a_future_that_a_broken_pool_forgot() -> None:
    assert list(in_order(square, map(Square, range(3)), Forgetful())) == squares(3)


class Silent(Executor):
    """It forgets the first attempt at every other task."""

    def __init__(self) -> None:
        self.calls = 0

    def submit(self, fn, /, *args, **kwargs):
        future: Future[int] = Future()
        self.calls += 1
        if self.calls > 6 or self.calls % 2:
            future.set_result(fn(*args, **kwargs))
        return future


def test_what_dask_forgets_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 1)
    monkeypatch.setattr(Silent, "__module__", "distributed.silent")
    executor = Silent()
    assert list(in_order(square, map(Square, range(6)), executor)) == squares(6)
    assert executor.calls == 9


def test_what_a_pool_does_slowly_is_sent_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0)
    with ThreadPoolExecutor(1) as pool:
        task = Square(3, str(tmp_path), seconds=2.5 * workers.PULSE)
        assert list(in_order(square, [task], pool)) == [9]
    assert runs(task) == 1


def of_dask(name: str, *bases: type[Exception], module: str = "distributed.somewhere") -> type[Exception]:
    return type(name, bases or (Exception,), {"__module__": module})


class Losing(Executor):
    """It loses the worker of the first task again and again."""

    def __init__(self, loss: BaseException | None, times: int) -> None:
        self.loss = loss
        self.times = times
        self.labels: set[object] = set()

    def submit(self, fn, /, *args, **kwargs):
        future: Future[int] = Future()
        self.labels.add(args)
        if self.times and args[1].number == 0:
            self.times -= 1
            if self.loss is None:
                future.cancel()
            else:
                future.set_exception(self.loss)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


LOSSES = [
    None,
    asyncio.CancelledError("gone"),
    of_dask("KilledWorker")("gone"),
    of_dask("FatalCommClosedError", of_dask("CommClosedError", OSError))("gone"),
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_task_whose_worker_was_lost_is_sent_again(loss: BaseException | None) -> None:
    executor = Losing(loss, MOST_RETRIES)
    assert list(in_order(square, map(Square, range(3)), executor)) == squares(3)
    assert len(executor.labels) == 3 + MOST_RETRIES  # no attempt looks like another
    shown = "The task was cancelled" if loss is None else "gone"
    with pytest.raises(
        ExecutorError, match=rf"^Task 0 .* at 4 attempts \(\w+: {shown}\)\. Workers are"
    ) as caught:
        list(in_order(square, map(Square, range(3)), Losing(loss, MOST_RETRIES + 1)))
    assert loss is None or caught.value.__cause__ is loss


@pytest.mark.parametrize("error", [of_dask("KilledWorker", module="elsewhere"), of_dask("ValueError")])
def test_other_errors_are_no_losses(error: type[Exception]) -> None:
    executor = Losing(error("mine"), 1)
    with pytest.raises(error, match="mine"):
        list(in_order(square, map(Square, range(3)), executor))
    assert len(executor.labels) == 3


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_errors_pass_as_they_are_in_the_order_of_the_tasks(kind: type[Executor], tmp_path: Path) -> None:
    tasks = [Square(n, str(tmp_path), fails=n in (3, 5), seconds=0.1 * (n == 3)) for n in range(8)]
    found: list[int] = []
    with kind(2) as pool, pytest.raises(QdiffSyntaxError) as caught:
        found.extend(in_order(square, tasks, pool))
    assert found == squares(3)
    assert str(caught.value) == f"3: {MESSAGE}"
    assert (caught.value.line, caught.value.column, caught.value.hint) == (7, 9, "Did you mean `u2`?")
    assert runs(tasks[3]) == 1


def test_an_error_cancels_what_has_not_begun(tmp_path: Path) -> None:
    tasks = [Square(n, str(tmp_path), fails=n == 0, seconds=0.01) for n in range(200)]
    with ThreadPoolExecutor(2) as pool, pytest.raises(QdiffSyntaxError):
        list(in_order(square, tasks, pool))
    assert sum(map(bool, map(runs, tasks))) < 20


def test_an_iterator_that_is_closed_cancels_what_has_not_begun(tmp_path: Path) -> None:
    tasks = deadly(200, tmp_path, {1: 1})
    with processes("fork", 1) as pool:
        results = in_order(square, tasks, pool)
        assert [next(results) for _ in range(5)] == squares(5)
        results.close()
    tasks = [Square(n, str(tmp_path / "threads"), seconds=0.01) for n in range(200)]
    (tmp_path / "threads").mkdir()
    with ThreadPoolExecutor(2) as pool:
        results = in_order(square, tasks, pool)
        next(results)
        results.close()
    assert sum(map(bool, map(runs, tasks))) < 20


INTERRUPTED = """
import signal, sys, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from estimators.parallel.worker_tasks import Square, square
from qdiff.estimators.parallel.executors import in_order

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, kind, death = sys.argv[1:]
    pool = {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}[kind](2)
    tasks = [Square(n, folder, deaths=int(death) * (n == 0), seconds=0.2) for n in range(200)]
    try:
        for _ in in_order(square, tasks, pool):
            print("under way", flush=True)
    except KeyboardInterrupt:
        print("\\ninterrupted", flush=True)
"""


@pytest.mark.parametrize(("kind", "death"), [("threads", 0), ("processes", 0), ("processes", 1)])
def test_ctrl_c_cancels_and_passes(kind: str, death: int, tmp_path: Path) -> None:
    """It is sent to the main process only: the workers finish what they have begun, and end."""
    (tmp_path / "script.py").write_text(INTERRUPTED)
    (tmp_path / "runs").mkdir()
    root = Path(qdiff.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path / "runs", kind, str(death)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "under way\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out.splitlines()[-1] == "interrupted"
    assert (process.returncode, err) == (0, "")
    assert len(list((tmp_path / "runs").iterdir())) < 30


class Client:
    """Dask's has such a method."""

    def get_executor(self) -> Executor:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (4, "4. Use `ProcessPoolExecutor(4)` for so many processes."),
        (ThreadPoolExecutor, "the class ThreadPoolExecutor itself. Make one: `ThreadPoolExecutor()`."),
        (Client(), "a Client. Use what its `get_executor()` returns."),
        (
            "processes",
            "a str. Use a ProcessPoolExecutor, Dask's `client.get_executor()`, or an executor of "
            "mpi4py.futures.",
        ),
    ],
)
def test_no_executor(bad: object, said: str) -> None:
    with pytest.raises(ExecutorError) as caught:
        in_order(square, [], bad)  # type: ignore[arg-type]
    assert str(caught.value) == f"`executor` must be a concurrent.futures.Executor or None, got {said}"


def test_an_executor_that_was_shut_down() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(ExecutorError) as caught:
        list(in_order(square, [Square(1)], pool))
    assert str(caught.value) == (
        "The executor takes no tasks (RuntimeError: cannot schedule new futures after shutdown). "
        "Use one that has not been shut down."
    )


def test_an_executor_that_is_shut_down_under_way() -> None:
    pool = ThreadPoolExecutor(1)
    results = in_order(square, [Square(n, seconds=0.01) for n in range(50)], pool)
    next(results)
    pool.shutdown(cancel_futures=True)
    with pytest.raises(ExecutorError, match="takes no tasks"):
        list(results)


def test_threads_that_cannot_start() -> None:
    with (
        ThreadPoolExecutor(1, initializer=no_start) as pool,
        pytest.raises(
            ExecutorError, match=r"^The executor (is broken|takes no tasks) \(BrokenThreadPool: A th"
        ),
    ):
        list(in_order(square, [Square(1)], pool))


def test_importing_it_loads_no_processes() -> None:
    code = (
        "import sys, qdiff.estimators.parallel.executors; "
        "print([m for m in ('multiprocessing', 'distributed') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"
