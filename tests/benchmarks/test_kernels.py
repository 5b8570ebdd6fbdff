"""The kernels written by hand sample what the exact engine computes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import kernels, workloads
from benchmarks.contests import STANDARD_ERRORS, Answer, Contest, checked, contests, deviation, enough
from benchmarks.figures import NotRun
from benchmarks.peers.lower import lower


@pytest.mark.parametrize("contest", contests(), ids=lambda contest: contest.workload.name)
def test_a_kernel_has_the_exact_mean(contest: Contest) -> None:
    answer = contest.by_hand(20_000, 3)
    assert deviation(answer, contest.exact) < STANDARD_ERRORS
    # The mean of another program is found out.
    assert deviation(answer, 1.05 * contest.exact) > STANDARD_ERRORS
    assert contest.by_hand(100, 3).sum == contest.by_hand(100, 3).sum != contest.by_hand(100, 4).sum


def test_the_generator_gives_the_numbers_of_its_authors() -> None:
    # xoshiro256**, from the state 1, 2, 3, 4.
    state = np.array([1, 2, 3, 4], dtype=np.uint64)
    words = [11520, 0, 1509978240, 1215971899390074240]
    assert [kernels.uniform(state) for _ in words] == [(word >> 11) * 2.0**-53 for word in words]
    # splitmix64, from 0.
    assert kernels.seeded(0)[:2].tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_neighbouring_classical_gates_of_the_walk_are_one_step() -> None:
    kinds, bits, factors, moves = kernels.walk_steps(lower(workloads.quantum_walk()))
    assert len(kinds) == len(bits) == 18
    assert kinds.tolist().count(2) == 1
    for signs, targets in zip(factors[kinds == 1], moves[kinds == 1], strict=True):
        assert sorted(targets.tolist()) == list(range(64))
        assert set(np.abs(signs)) == {1}


def test_a_wrong_mean_does_not_count() -> None:
    right = Answer(shots=100, seconds=0.5, sum=250, squares=725)
    assert checked(right, 2.5) == 200
    with pytest.raises(NotRun, match=r"^WRONG: mean 2\.5 is 10\.0 standard errors from the exact 3\.5$"):
        checked(right, 3.5)
    constant = Answer(shots=100, seconds=0.5, sum=200, squares=400)
    assert deviation(constant, 2.0) == 0
    assert deviation(constant, 2.1) == float("inf")


def test_a_run_takes_long_enough_without_its_compilation() -> None:
    asked: list[int] = []
    stalls = {0: 4.0, 2: 1.0}  # the first run compiles; another one stands still

    def run(shots: int, seed: int) -> Answer:
        asked.append(shots)
        return Answer(shots, stalls.get(len(asked) - 1, shots * 1e-3), 0, 0)

    assert enough(run) == 512
    assert asked == [1, 1, 8, 8, 64, 128, 256, 512, 512]
