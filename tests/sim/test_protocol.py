"""The types that backends and estimators share, and the check of capabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from qdiff.errors import BackendError, ParameterError, QdiffError
from qdiff.lang.observable import Z
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim import registry
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import (
    AsynchronousBackend,
    Backend,
    Capabilities,
    Job,
    Outcomes,
    Prepared,
    Readout,
    SiteRecord,
    TangentBackend,
)
from qdiff.sim.seeds import checked_seed, checked_shots, derived_seed

PROGRAM = parse("qubit: q\npara: t, s\ncount: c\nRy(t + s)[q]; c := M[q]")
PREPARED = Prepared("toy", PROGRAM, Readout())
NO_INPUT = "Integer input `c` must be a signed 64-bit integer"


def outcomes(**changes: Any) -> Outcomes:
    columns: dict[str, Any] = {
        "seed": 1,
        "counters": np.zeros((3, 1), dtype=np.int64),
        "bits": np.zeros((3, 2), dtype=np.uint8),
        "aborted": np.array([True, False, False]),
        "cut": np.array([False, True, False]),
    }
    return Outcomes(**(columns | changes))


@pytest.mark.parametrize("shots", [0, -3, 1.5, 10.0, "7", None, True, float("nan")])
def test_shots_that_are_no_positive_integer(shots: object) -> None:
    with pytest.raises(QdiffError) as caught:
        checked_shots(shots)
    assert str(caught.value) == f"The number of shots must be a positive integer, got {shots!r}."


def test_shots_may_be_numpy_integers() -> None:
    assert checked_shots(np.int64(5)) == 5


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5, "x", False])
def test_seeds_outside_their_range(seed: object) -> None:
    with pytest.raises(QdiffError) as caught:
        checked_seed(seed)
    assert str(caught.value) == (
        f"The seed must be an integer from 0 to 2^64 - 1, or None to draw one, got {seed!r}."
    )


def test_seeds() -> None:
    assert checked_seed(2**64 - 1) == 2**64 - 1
    assert checked_seed(np.uint32(3)) == 3
    drawn = {checked_seed(None) for _ in range(5)}
    assert len(drawn) == 5
    assert all(0 <= seed < 2**53 for seed in drawn)


def test_derived_seeds_are_fixed_and_distinct() -> None:
    assert derived_seed(7, 0) == 3386250816931739734
    seeds = {derived_seed(seed, *path) for seed in range(20) for path in [(), (0,), (1,), (0, 0), (0, 1)]}
    assert len(seeds) == 100


def test_readout() -> None:
    assert Readout(("a", "b")).bases == "ZZ"
    assert Readout(("a", "b"), "XY").bases == "XY"
    assert Readout() == Readout((), "")
    for bases in ("X", "XYZ", "XP"):
        with pytest.raises(QdiffError) as caught:
            Readout(("a", "b"), bases)
        assert str(caught.value) == (
            f"A read-out needs one basis letter X, Y or Z for each of its 2 qubits, got {bases!r}."
        )
    with pytest.raises(QdiffError, match=r"A read-out measures each qubit once, got a, b, a\."):
        Readout(("a", "b", "a"))


def test_job() -> None:
    job = Job(PREPARED, {"t": 1.0, "s": 2.0}, np.int64(10), 3, inputs={"c": 4}, first=20)  # type: ignore[arg-type]
    assert (job.shots, job.seed, job.first, job.inputs) == (10, 3, 20, {"c": 4})


def test_job_copies_what_it_is_given() -> None:
    params = {"t": 1.0, "s": 2.0}
    job = Job(PREPARED, params, 10, 3)
    params["t"] = 5.0
    assert job.params["t"] == 1.0


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64, np.uint64, ">i4"])
def test_inputs_for_each_shot(kind: Any) -> None:
    given = np.array([3, 0, 1, 127], dtype=kind)
    job = Job(PREPARED, {"t": 1.0, "s": 2.0}, 4, 3, inputs={"c": given})
    held = job.inputs["c"]
    given[0] = 5
    assert isinstance(held, np.ndarray)
    assert (held.dtype, held.tolist()) == (np.int64, [3, 0, 1, 127])
    with pytest.raises(ValueError, match="read-only"):
        held[0] = 5
    assert job.inputs_by_shot == ("c",)


def test_one_input_for_all_shots() -> None:
    for value in (np.array(4), np.uint64(4), 4):  # what has no axis is one number
        job = Job(PREPARED, {"t": 1.0, "s": 2.0}, 4, 3, inputs={"c": value})  # type: ignore[dict-item]
        assert job.inputs == {"c": 4}
        assert type(job.inputs["c"]) is int
        assert job.inputs_by_shot == ()


def test_inputs_of_a_slice_lie_apart_from_it() -> None:
    backwards = np.arange(8)[::-2]
    held = Job(PREPARED, {"t": 1.0, "s": 2.0}, 4, 3, inputs={"c": backwards}).inputs["c"]
    assert isinstance(held, np.ndarray)
    assert held.tolist() == [7, 5, 3, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"params": {"t": 1.0}}, "A job needs a value for every parameter; missing: s."),
        ({"shots": 0}, "The number of shots must be a positive integer, got 0."),
        ({"seed": -1}, "The seed must be an integer from 0 to 2^64 - 1, or None to draw one, got -1."),
        ({"seed": None}, "A job needs a seed: results carry it."),
        ({"first": -1}, "The index of the first shot must be an integer from 0 to 2^64 - 1, got -1."),
        ({"first": 0.5}, "The index of the first shot must be an integer from 0 to 2^64 - 1, got 0.5."),
        ({"inputs": {"k": 1}}, "Integer inputs are start values of counters; no counter: k."),
        ({"inputs": {"c": 2**63}}, f"{NO_INPUT}, or an array with one for each shot, got {2**63}."),
        ({"inputs": {"c": 1.0}}, f"{NO_INPUT}, or an array with one for each shot, got 1.0."),
        ({"inputs": {"c": [1, 2]}}, f"{NO_INPUT}, or an array with one for each shot, got [1, 2]."),
        ({"inputs": {"c": np.ones(5)}}, f"{NO_INPUT} for each shot, got an array of float64."),
        ({"inputs": {"c": np.ones(5, bool)}}, f"{NO_INPUT} for each shot, got an array of bool."),
        ({"inputs": {"c": np.array([2**70] * 5)}}, f"{NO_INPUT} for each shot, got an array of object."),
        (
            {"inputs": {"c": np.array([0, 1, 2**63, 3, 4], np.uint64)}},
            f"{NO_INPUT} for each shot, got {2**63}.",
        ),
        (
            {"inputs": {"c": np.arange(4)}},
            "Integer input `c` must have one value for each shot, shape (5,); got an array of shape (4,).",
        ),
        (
            {"inputs": {"c": np.zeros((5, 1), int)}},
            "Integer input `c` must have one value for each shot, shape (5,); got an array of shape (5, 1).",
        ),
        ({"inputs": {"k": np.arange(5)}}, "Integer inputs are start values of counters; no counter: k."),
    ],
)
def test_jobs_that_are_refused(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"params": {"t": 1.0, "s": 2.0}, "shots": 5, "seed": 1}
    with pytest.raises(QdiffError) as caught:
        Job(PREPARED, **(fields | changes))
    assert str(caught.value) == message
    assert isinstance(caught.value, ParameterError) == ("params" in changes)


def test_outcomes_count_rows_or_shots() -> None:
    rows = outcomes()
    assert rows.shots == 3
    assert rows.weights.tolist() == [1, 1, 1]
    assert rows.finished.tolist() == [False, False, True]
    unique = outcomes(counts=np.array([5, 1, 4]))
    assert unique.shots == 10
    assert unique.weights.tolist() == [5, 1, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"counters": np.zeros((3, 1))},
            "`counters` of outcomes must be int64 with 2 axes, got float64 with 2.",
        ),
        ({"bits": np.zeros(3, np.uint8)}, "`bits` of outcomes must be uint8 with 2 axes, got uint8 with 1."),
        ({"aborted": np.zeros(3)}, "`aborted` of outcomes must be bool with 1 axis, got float64 with 1."),
        ({"cut": np.zeros((3, 1), bool)}, "`cut` of outcomes must be bool with 1 axis, got bool with 2."),
        ({"counts": np.ones(3)}, "`counts` of outcomes must be int64 with 1 axis, got float64 with 1."),
        (
            {"expectations": np.ones(3)},
            "`expectations` of outcomes must be float64 with 2 axes, got float64 with 1.",
        ),
        (
            {"before_site": SiteRecord(np.zeros(3, bool), np.zeros(3, int), np.zeros((3, 1)))},  # type: ignore[arg-type]
            "`before_site.counters` of outcomes must be int64 with 2 axes, got float64 with 2.",
        ),
        ({"cut": np.zeros(4, bool)}, "Outcomes must have one number of rows, got 3 and 4."),
        ({"counts": np.ones(2, dtype=np.int64)}, "Outcomes must have one number of rows, got 2 and 3."),
        ({"cut": np.array([True, False, False])}, "A run is either aborted or cut, not both."),
    ],
)
def test_outcomes_that_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        outcomes(**changes)
    assert str(caught.value) == message


# --- Backends and what they can do ---------------------------------------------------------------


class Toy:
    """A backend for straight-line programs."""

    name = "toy"
    capabilities = Capabilities(mid_circuit_measurement=True, counters=True)

    def prepare(self, program: Program, readout: Readout) -> Prepared:
        registry.require(self, program, readout)
        return Prepared(self.name, program, readout)

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        return []


class Queue(Toy):
    def submit(self, jobs: Sequence[Job]) -> str:
        return "job-1"

    def collect(self, job_id: str, *, wait: bool = True) -> list[Outcomes] | None:
        return None


def test_protocols_are_recognised() -> None:
    toy: Backend = Toy()
    queue: AsynchronousBackend = Queue()
    assert isinstance(toy, Backend)
    assert isinstance(TrajectoryBackend(), Backend)
    assert not isinstance(toy, AsynchronousBackend)
    assert not isinstance(toy, TangentBackend)
    assert isinstance(TrajectoryBackend(), TangentBackend)
    assert TrajectoryBackend.capabilities.tangents
    assert isinstance(queue, AsynchronousBackend)


def test_capabilities_as_text() -> None:
    assert str(Capabilities()) == "nothing"
    assert str(Toy.capabilities) == "counters, mid circuit measurement"
    assert Toy.capabilities.lacking(["loops", "counters", "flip"]) == ("loops", "flip")


@pytest.mark.parametrize(
    ("body", "needed"),
    [
        ("skip; Ry(t)[q]; CNOT[q, r]; abort", {}),
        ("q := |0>", {"reset"}),
        ("c++", {"counters"}),
        ("c := M[q, r]", {"counters", "mid_circuit_measurement"}),
        ("Ry(t*c)[q]", {"counters"}),
        ("if M[q] = 1 then skip fi", {"mid_circuit_measurement"}),
        ("if flip(t) then skip fi", {"flip"}),
        ("damp(t)[q]", {"noise"}),
        ("dephase(1/(c+2))[q]", {"noise", "counters"}),
        ("if flip(1/(c+2)) then skip fi", {"flip", "counters"}),
        ("if t < 2 then skip fi", set()),
        ("if not (t < 2 or c < 1) then skip fi", {"counters"}),
        ("case M[q] of 0: skip esac", {"mid_circuit_measurement"}),
        ("if t < 2 then if t < 1 then skip fi fi", {"nested_ifs"}),
        ("while M[q] = 1 do H[q] od", {"loops", "mid_circuit_measurement"}),
        ("while t < 1 do case M[r] of 0: skip esac od", {"loops", "nested_ifs", "mid_circuit_measurement"}),
        ("while{3} M[q] = 1 do H[q] od", {"nested_ifs", "mid_circuit_measurement"}),
    ],
)
def test_requirements(body: str, needed: set[str]) -> None:
    program = parse(f"qubit: q, r\npara: t\ncount: c\n{body}")
    assert set(registry.requirements(program, Readout())) == set(needed)


def test_expectations_are_a_requirement() -> None:
    assert registry.requirements(PROGRAM, Readout(expectations=(Z("q"),)))["expectations"] is None


def test_require_lists_what_is_lacking_and_what_would_serve() -> None:
    program = parse("qubit: q\nq := |0>; H[q];\nwhile M[q] = 1 do\n  q := |0>; H[q] od")
    with pytest.raises(BackendError) as caught:
        Toy().prepare(program, Readout())
    assert str(caught.value) == (
        "Backend `toy` cannot run this program. It lacks: reset (line 2), loops (line 3); it has: counters, "
        "mid circuit measurement. Backends that would serve: trajectory, merged, arrays."
    )


def test_require_says_so_where_nothing_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.find_backend()
    monkeypatch.setattr(registry, "_BACKENDS", {})
    with pytest.raises(BackendError) as caught:
        Toy().prepare(PROGRAM, Readout(expectations=(Z("q"),)))
    assert str(caught.value) == (
        "Backend `toy` cannot run this program. It lacks: expectations; it has: counters, "
        "mid circuit measurement. Backends that would serve: none."
    )


def test_backends_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(registry.find_backend("trajectory"), TrajectoryBackend)
    monkeypatch.setattr(registry, "_BACKENDS", dict(registry._BACKENDS))
    registry.register_backend("toy", Toy.capabilities, Toy)
    assert registry.known_backends() == ("trajectory", "merged", "arrays", "toy")
    assert isinstance(registry.find_backend("toy"), Toy)
    toy = Toy()
    assert registry.find_backend(toy) is toy
    with pytest.raises(BackendError, match="Backend `toy` is registered already"):
        registry.register_backend("toy", Toy.capabilities, Toy)


def test_backends_that_are_none() -> None:
    with pytest.raises(BackendError) as caught:
        registry.find_backend("trajectry")
    assert str(caught.value) == (
        "There is no backend `trajectry`. Known: trajectory, merged, arrays. Did you mean `trajectory`?"
    )
    with pytest.raises(BackendError) as caught:
        registry.find_backend(3)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "A backend is a name (trajectory, merged, arrays) or an object with name, capabilities, prepare and "
        "run; got 3."
    )
    with pytest.raises(BackendError, match=r"got <class '.*TrajectoryBackend'>\.$"):
        registry.find_backend(TrajectoryBackend)  # type: ignore[arg-type]
