"""Tasks on a Dask cluster of two processes, which is started here and whose workers are killed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path

import pytest
from estimators.parallel.worker_tasks import MESSAGE, Square, runs, square

from qdiff.errors import ExecutorError, QdiffSyntaxError
from qdiff.estimators.parallel import workers
from qdiff.estimators.parallel.executors import in_order

dask = pytest.importorskip("dask", reason="Dask is not installed")
distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")


@pytest.fixture(scope="module")
def only_client() -> Iterator[distributed.Client]:
    before = set(active_children())
    # A dead worker is asked for its results for so long, by default 30 seconds. Port 0 is any free one: tests
    # run side by side.
    settings = {"distributed.comm.timeouts.connect": "5s"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(2, processes=True, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client
    assert not set(active_children()) - before


@pytest.fixture
def client(only_client: distributed.Client) -> distributed.Client:
    wait_for_workers(only_client)
    return only_client


def wait_for_workers(client: distributed.Client) -> None:
    """One that is killed before its nanny calls it running is not started again: so one a test is killed."""
    client.wait_for_workers(2)
    while any(nanny.status != distributed.Status.running for nanny in client.cluster.workers.values()):
        time.sleep(0.02)


def tasks_in(folder: Path, count: int, deaths: int = 0) -> list[Square]:
    """The first of them is the deadly one: its worker has no results yet that would be looked for."""
    return [Square(n, str(folder), deaths=deaths * (n == 0), seconds=0.01) for n in range(count)]


def squares(count: int) -> list[int]:
    return [number**2 for number in range(count)]


def test_results_come_in_the_order_of_the_tasks(client: distributed.Client) -> None:
    executor = client.get_executor()
    assert list(in_order(square, map(Square, range(300)), executor)) == squares(300)
    assert list(in_order(square, map(Square, range(3)), executor)) == squares(3)


def test_a_worker_that_is_killed_takes_nothing_with_it(client: distributed.Client, tmp_path: Path) -> None:
    """Dask does again what was lost."""
    tasks = tasks_in(tmp_path, 20, deaths=1)
    assert list(in_order(square, tasks, client.get_executor())) == squares(20)
    assert runs(tasks[0]) == 2


def test_what_dask_gives_up_is_sent_again(
    client: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    tasks = tasks_in(tmp_path, 1, deaths=1)
    assert list(in_order(square, tasks, client.get_executor())) == squares(1)
    assert runs(tasks[0]) == 2


def test_a_task_that_is_given_up_is_named_and_can_be_tried_again(
    client: distributed.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    tasks = tasks_in(tmp_path, 1, deaths=1)
    with monkeypatch.context() as patch:
        patch.setattr(workers, "MOST_RETRIES", 0)
        with pytest.raises(
            ExecutorError, match=r"^Task 0 .* died at 1 attempts \(KilledWorker: Attempted to"
        ):
            list(in_order(square, tasks, client.get_executor()))
    assert runs(tasks[0]) == 1
    # Dask does not remember what befell the same tasks before.
    assert list(in_order(square, tasks, client.get_executor())) == squares(1)


def test_errors_pass_as_they_are(client: distributed.Client, tmp_path: Path) -> None:
    tasks = [Square(n, str(tmp_path), fails=n in (3, 5)) for n in range(8)]
    found: list[int] = []
    with pytest.raises(QdiffSyntaxError) as caught:
        found.extend(in_order(square, tasks, client.get_executor()))
    assert found == squares(3)
    assert str(caught.value) == f"3: {MESSAGE}"
    assert (caught.value.line, caught.value.column, caught.value.hint) == (7, 9, "Did you mean `u2`?")
    assert runs(tasks[3]) == 1


def test_a_client_is_no_executor(client: distributed.Client) -> None:
    with pytest.raises(ExecutorError) as caught:
        in_order(square, [], client)
    assert str(caught.value) == (
        "`executor` must be a concurrent.futures.Executor or None, got a Client. "
        "Use what its `get_executor()` returns."
    )


def test_a_client_that_was_closed(client: distributed.Client) -> None:
    with distributed.Client(client.cluster) as other:
        executor = other.get_executor()
    said = r"^The executor takes no tasks \(\w+: .*\)\. Use one that has not been shut down\.$"
    with pytest.raises(ExecutorError, match=said):
        list(in_order(square, [Square(1)], executor))
