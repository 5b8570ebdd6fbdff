"""Random streams beside NumPy's Philox and its published vectors."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from sim.machine.sampled import sampled

from qdiff.lang.text.parser import parse
from qdiff.sim.machine import streams


def numbers(seed: int, shot: int, many: int) -> list[float]:
    """The first numbers of a shot."""
    result = np.empty(many)
    streams.stream(np.uint64(seed), np.uint64(shot), result, np.zeros(4, dtype=np.uint64))
    return result.tolist()


SEEDS = [0, 1, 7, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 0x9E3779B97F4A7C15]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shot", [0, 1, 3, 2**40 + 5, 2**64 - 1])
def test_numbers_are_those_of_numpy(seed: int, shot: int) -> None:
    words = np.random.Philox(key=seed, counter=shot << 128).random_raw(11)
    assert numbers(seed, shot, 11) == [float(int(word) >> 11) * 2.0**-53 for word in words]


def test_known_vectors() -> None:
    """The vectors that the authors of Philox publish for 4×64 with ten rounds: counter, key, words."""
    words = np.zeros(4, dtype=np.uint64)

    @numba.njit
    def philox(block: int, shot: np.uint64, seed: np.uint64, words: np.ndarray) -> None:
        streams.philox(block, shot, seed, words)

    philox(0, np.uint64(0), np.uint64(0), words)
    assert [f"{int(w):016x}" for w in words] == [
        "16554d9eca36314c", "db20fe9d672d0fdc", "d7e772cee186176b", "7e68b68aec7ba23b",
    ]  # fmt: skip
    # Word 0 with key (7, 0) after counter (0, 0, 3, 0).
    assert numbers(7, 3, 1) == [(13918315942059181947 >> 11) * 2.0**-53]


def test_a_flip_compares_with_the_number_of_its_shot() -> None:
    program = parse("qubit: q\npara: p\ncount: c\nif flip(p) then c := 1 fi")
    [number] = numbers(7, 3, 1)
    for p, expected in ((number, 0), (np.nextafter(number, 1), 1)):
        result = sampled(program, {"p": float(p)}, 1, seed=7, first=3)
        assert result.counters.tolist() == [[expected]]


def test_largest_seed_and_index() -> None:
    result = sampled(parse("qubit: q\nH[q]"), {}, 20, seed=2**64 - 1, first=2**64 - 30)
    assert 0 < result.bits.sum() < 20
