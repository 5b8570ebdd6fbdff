"""Ranges shared by threads."""

from __future__ import annotations

import os
import threading
import time

import pytest

from qdiff.sim.static.threads import over_ranges, shared_from


@pytest.mark.parametrize(("count", "threads"), [(0, 2), (1, 4), (7, 1), (7, 3), (16, 2), (3, 9)])
def test_ranges_make_up_all(count: int, threads: int) -> None:
    found: list[int] = []
    over_ranges(lambda first, last: found.extend(range(first, last)), count, threads)
    assert sorted(found) == list(range(count))


def test_ranges_are_on_several_threads() -> None:
    meet = threading.Barrier(2, timeout=10)
    names: list[str] = []

    def some(first: int, last: int) -> None:
        meet.wait()  # passes only if both run at once
        names.append(threading.current_thread().name)

    over_ranges(some, 2, 2)
    assert len(set(names)) == 2


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_comes_when_all_others_have_ended(bad: int) -> None:
    ended: list[int] = []

    def some(first: int, last: int) -> None:
        if first == bad:
            raise ValueError(first)
        time.sleep(0.05)
        ended.append(first)

    with pytest.raises(ValueError, match=str(bad)):
        over_ranges(some, 2, 2)
    assert ended == [1 - bad]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    over_ranges(lambda first, last: None, 2, 2)  # threads of this process are waiting now
    child = os.fork()
    if child == 0:
        found: list[int] = []
        over_ranges(lambda first, last: found.append(first), 2, 2)
        os._exit(0 if sorted(found) == [0, 1] else 1)
    until = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < until:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the forked process waits for threads that it has not")
    assert ended[1] == 0


def test_threads_share_states_that_do_not_fit_into_a_block() -> None:
    assert not shared_from(1 << 14)
    assert shared_from(1 << 15)
