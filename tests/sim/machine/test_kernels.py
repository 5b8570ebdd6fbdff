"""The compiled functions one by one: random streams, what is compiled, drawing, expressions' integers."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher
from sim.machine.sampled import ALL, executed, sampled

from qdiff.lang.observable import Z
from qdiff.lang.text.parser import parse
from qdiff.sim.machine import kernels
from qdiff.sim.protocol import Readout

# --- Random streams -------------------------------------------------------------------------------


def numbers(seed: int, shot: int, many: int) -> list[float]:
    """The first numbers of a shot."""
    result = np.empty(many)
    kernels.stream(np.uint64(seed), np.uint64(shot), result, np.zeros(4, dtype=np.uint64))
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
        kernels.philox(block, shot, seed, words)

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


# --- What is compiled -----------------------------------------------------------------------------

ENTRIES = {
    # of the machine
    "stream": "uint64 uint64 Array Array",
    "bind": "Code Bound Work",
    "run": "Code Bound Tree Work Results Array int64 uint64 uint64 float64 int64",
    # for large registers
    "random_block": "int64 uint64 uint64 Array",
    "drawn": "Array float64",
    "share_op": "Code Array int64 Array Array int64 int64",
    "share_weights": "Array Array Array int64 int64",
    "share_scale": "Array int64 int64 int64 float64 int64 int64",
    # for merged shots
    "expand": "Code Bound Work Entries Rows float64 int64 bool float64 int64 int64 float64 float64",
}
"""The functions that Python calls and what they take; each is compiled when it is first called."""


def kind(argument: numba.types.Type) -> str:
    if isinstance(argument, numba.types.NamedTuple):
        return argument.instance_class.__name__
    return "Array" if isinstance(argument, numba.types.Array) else str(argument)


def called() -> dict[str, Dispatcher]:
    compiled = {name: f for name, f in vars(kernels).items() if isinstance(f, Dispatcher)}
    return {name: f for name, f in compiled.items() if f.targetoptions.get("nogil")}


def test_entries_are_known_and_kept_on_disk() -> None:
    assert set(called()) == set(ENTRIES)
    for function in called().values():
        assert type(function._cache).__name__ == "FunctionCache"


def test_entries_are_compiled_for_one_signature_each() -> None:
    """Whatever the programs are: another signature would be another wait for the compiler."""
    numbers(1, 1, 1)
    bare = parse("qubit: q\nskip")
    sampled(bare, {}, 1, readout=Readout())
    sampled(bare, {}, 1, readout=Readout((), "", (Z("q"),)))
    for name in ("channels", "measured into counters, parameters picked by a counter", "gates of all kinds"):
        sampled(*ALL[name], 3)
        executed(*ALL[name], 30, 2**64 - 1, threads=2, tree_bytes=0, first=2**64 - 20)
    for name, function in called().items():
        for signature in function.signatures:  # none before it is called
            assert " ".join(map(kind, signature)) == ENTRIES[name]
        assert len(function.signatures) <= 1
    assert all(called()[name].signatures for name in ("stream", "bind", "run"))
