"""Shots side by side: the same as the trajectory backend's, with exact means, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from chi_square import assert_drawn_from, exact_distribution
from sim.arrays.kinds import KINDS, present
from sim.machine.sampled import ALL, PROGRAMS, assert_same, histogram, sampled

import qdiff as qd
from qdiff.errors import BackendError, EvaluationError, QdiffError, ResourceError
from qdiff.lang.observable import X, Y, Z, count
from qdiff.lang.text.parser import parse
from qdiff.sim.arrays import lockstep, steps
from qdiff.sim.arrays.backend import ArrayBackend
from qdiff.sim.machine.backend import TrajectoryBackend
from qdiff.sim.protocol import Job, Outcomes, Readout
from qdiff.sim.registry import find_backend, known_backends

SHOTS = 120
LOOP = parse(
    "qubit: q[6]\npara: t\ncount: c\nH[q[0]]; while M[q[0]] = 1 do c++; "
    + "; ".join(f"Ry(t)[q[{i}]]; CNOT[q[{i}], q[{i + 1}]]" for i in range(5))
    + "; q[0] := |0>; Ry(2)[q[0]] od; R_XX(t*c)[q[1], q[4]]"
)


def both(program: qd.Program, params: dict[str, float], backend: ArrayBackend, **options: object) -> None:
    """Assert that a backend's shots are those of trajectories."""
    step_limit = backend.step_limit
    expected = sampled(program, params, SHOTS, 5, step_limit=step_limit, **options)  # type: ignore[arg-type]
    assert_same(sampled(program, params, SHOTS, 5, backend=backend, **options), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ALL)
def test_shots_are_those_of_trajectories(name: str) -> None:
    program, params = ALL[name]
    readout = Readout(program.qubits, "XYZ"[: len(program.qubits)] + "Z" * (len(program.qubits) - 3))
    both(program, params, ArrayBackend(), readout=readout)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("strict", "numpy")])
def test_so_they_are_on_every_library(kind: str) -> None:
    present(kind)
    backend = ArrayBackend(library=kind)
    for name in ("nested loops", "channels", "gates of all kinds", "flips, an angle that counts", "case"):
        both(*ALL[name], backend)
    both(LOOP, {"t": 0.6}, backend)


def test_single_precision_changes_few_shots() -> None:
    program, params = ALL["and, or, not"]
    expected = sampled(program, params, 1000, 5)
    found = sampled(program, params, 1000, 5, backend=ArrayBackend(dtype="complex64"))
    different = (found.bits != expected.bits).any(axis=1) | (found.counters != expected.counters).any(axis=1)
    assert different.mean() < 0.01


def test_expectations_are_those_of_trajectories() -> None:
    observables = (Z("q[0]") * X("q[5]") + 2 * count("c"), Y("q[1]") * Y("q[4]") + 1, count("c") * Z("q[3]"))
    both(LOOP, {"t": 0.6}, ArrayBackend(), readout=Readout(("q[2]",), "Y", observables))


@pytest.mark.parametrize("inputs", [{"c": 3}, {"c": np.arange(SHOTS) % 4 - 1}])
def test_inputs_of_all_shots_or_of_each(inputs: dict[str, int]) -> None:
    program, params = ALL["loop with a counter"]
    both(program, params, ArrayBackend(), inputs=inputs, first=2**64 - 7)


def test_a_shot_depends_on_seed_and_index_only(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sampled(LOOP, {"t": 0.6}, 40, 9, backend=ArrayBackend())
    parts = [sampled(LOOP, {"t": 0.6}, 10, 9, first=f, backend=ArrayBackend()) for f in (0, 10, 20, 30)]
    assert np.array_equal(whole.bits, np.concatenate([p.bits for p in parts]))
    little = ArrayBackend(memory_limit=4 * 16 * 64 * 3 + 5)  # three runs at a time
    assert lockstep.together(little.library, 6, little.memory_limit) == 3
    assert_same(sampled(LOOP, {"t": 0.6}, 40, 9, backend=little), whole)
    # Where a library wants few shapes, parties are filled up.
    filled = ArrayBackend()
    monkeypatch.setattr(filled.library, "fixed_shapes", True)
    assert_same(sampled(LOOP, {"t": 0.6}, 40, 9, backend=filled), whole)
    program, params = ALL["channels"]
    monkeypatch.setattr(steps, "WHOLE_QUBITS", 0)
    assert_same(
        sampled(program, params, 40, 9, backend=filled),
        sampled(program, params, 40, 9, backend=ArrayBackend()),
    )


@pytest.mark.parametrize("limit", [3, 7, 20, 50])
def test_runs_are_cut_where_trajectories_are(limit: int) -> None:
    for name in (
        "nested loops",
        "aborts and a bounded loop",
        "measured into counters, parameters picked by a counter",
    ):
        both(*ALL[name], ArrayBackend(step_limit=limit))


@pytest.mark.parametrize("name", ["and, or, not", "channels"])
def test_outcomes_follow_the_exact_distribution(name: str) -> None:
    text, params = PROGRAMS[name]
    program = parse(text)
    found = sampled(program, params, 1500, 77, backend=ArrayBackend())
    assert_drawn_from(histogram(found), exact_distribution(program, params))


class _Forgetful(steps.Steps):
    """Leaves a state as it was before a measurement."""

    def _measured(self, qubits, rows, states):  # type: ignore[no-untyped-def]
        outcomes, _ = super()._measured(qubits, rows, states)
        return outcomes, states


def test_a_measurement_that_leaves_the_state_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockstep, "Steps", _Forgetful)
    with pytest.raises(AssertionError):
        both(*ALL["nested loops"], ArrayBackend())


def test_estimates_come_from_arrays() -> None:
    assert isinstance(find_backend("arrays"), ArrayBackend)
    assert known_backends()[2] == "arrays"
    f = qd.expectation(LOOP, "c*Z[q[1]] + X[q[2]]")
    at = {"t": 0.6}
    mine = f.estimate(at, shots=4000, seed=3, backend="arrays")
    assert math.isclose(
        mine.value, f.estimate(at, shots=4000, seed=3, backend="trajectory").value, rel_tol=1e-9
    )
    assert abs(mine.value - f(at)) < 5 * mine.stderr
    slope = f.estimate_grad(at, shots=4000, seed=3, backend=qd.ArrayBackend())
    assert abs(slope.value[0] - f.grad(at)[0]) < 5 * slope.stderr[0]


# --- What is refused ----------------------------------------------------------------------------------


def failing(text: str, first: int = 0, shots: int = SHOTS) -> tuple[str, str]:
    """What both backends say of shots that come to something without a value."""
    program, said = parse(text), []
    for backend in (ArrayBackend(), TrajectoryBackend(threads=1)):
        prepared = backend.prepare(program, Readout(program.qubits))
        with pytest.raises(EvaluationError) as caught:
            backend.run([Job(prepared, {"t": 0.5}, shots, 3, first=first)])
        said.append(str(caught.value))
    return said[0], said[1]


@pytest.mark.parametrize(
    "rest",
    [
        "while flip(0.7) do c++ od; Ry(1/(c - 2))[q]",
        "while flip(0.7) do c++ od; if flip(0.5 - c/4) then skip fi",
        "while flip(0.7) do c++ od; damp(0.5 - c/3)[q]",
        "while flip(0.7) do c++ od; if c > 1 then c := 5 div (c - 3) else Rx(1/(t - 0.5))[q] fi",
        "if M[q] = 1 then Rx(1/(t - 0.5))[q] else c := c + 9223372036854775807; c := c + 1 fi",
        "while flip(0.7) do c++ od; if c/(c - 1) > 0 then X[q] fi",
    ],
)
def test_errors_are_those_of_the_first_shot_that_fails(rest: str) -> None:
    mine, theirs = failing(f"qubit: q\npara: t\ncount: c\nH[q]; {rest}")
    assert mine == theirs


def test_numbers_beyond_64_bits_are_found_exactly() -> None:
    text = (
        "qubit: q\ncount: k, c\nwhile flip(0.5) do k++ od; c := (k*1000000000000000000*77) mod 1000003;\n"
        "Ry(c/1000003 + 10000000000000000000*k)[q]; H[q]; damp(1/(1 + 10000000000000000000*k))[q];"
        "if 10000000000000000000*k > 4 then X[q] fi"
    )
    both(parse(text), {}, ArrayBackend())


def test_a_register_that_does_not_fit() -> None:
    with pytest.raises(ResourceError) as caught:
        ArrayBackend().prepare(parse("qubit: q[30]\nH[q[0]]"), Readout())
    assert str(caught.value) == (
        "One run on 30 qubits needs 64 GiB of memory; the limit is 4 GiB. Use fewer qubits (reset and reuse "
        "them), dtype='complex64', or raise the limit: ArrayBackend(memory_limit=...)."
    )
    with pytest.raises(ResourceError) as caught:
        sampled(parse("qubit: q\nH[q]"), {}, 10**12, backend=ArrayBackend())
    assert str(caught.value) == (
        "The outcomes of 1000000000000 shots need 3.64 TiB of memory; the limit is 4 GiB. Use fewer shots, "
        "or raise the limit: ArrayBackend(memory_limit=...)."
    )


def test_other_backends_programs_and_options_are_refused() -> None:
    program, backend = parse("qubit: q\nH[q]"), ArrayBackend()
    prepared = TrajectoryBackend().prepare(program, Readout())
    with pytest.raises(BackendError, match=r"^This was prepared by backend `trajectory`, not by `arrays`"):
        backend.run([Job(prepared, {}, 1, 1)])
    with pytest.raises(QdiffError, match=r"^The read-out names unknown qubits: r\. Declared: q\.$"):
        backend.prepare(program, Readout(("r",)))
    with pytest.raises(QdiffError, match="step_limit must be an integer from 1 "):
        ArrayBackend(step_limit=0)
    with pytest.raises(QdiffError, match="memory_limit, in bytes, must be"):
        ArrayBackend(memory_limit=1.5)  # type: ignore[arg-type]
    with pytest.raises(BackendError, match="Runs of backend `arrays` carry no derivatives"):
        qd.expectation(LOOP, "c").estimate_grad(
            {"t": 0.6}, shots=10, seed=1, estimator="trajectory", backend="arrays"
        )


def test_nothing_is_left_of_runs_that_abort() -> None:
    found: Outcomes = sampled(
        parse("qubit: q\nX[q]; if flip(0.5) then abort fi"), {}, 50, backend=ArrayBackend()
    )
    assert 0 < found.aborted.sum() < 50
    assert np.array_equal(found.bits[:, 0], ~found.aborted)
