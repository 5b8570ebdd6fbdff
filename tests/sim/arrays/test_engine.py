"""The engine on arrays against the hybrid and the pure-state engine, on random circuits of every gate."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from helpers import assert_close
from sim.arrays.kinds import KINDS, present
from sim.pure.checks import CASES, check_curvature, check_engine, prepared
from sim.static.circuits import circuit as random_circuit
from sim.static.circuits import names
from sim.static.test_engine import AT, RICH

import qdiff as qd
from qdiff.errors import EvaluationError, QdiffError, ResourceError
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.arrays import groups
from qdiff.sim.arrays.engine import ArrayEngine
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.randomness import what_is_random
from qdiff.sim.static.engine import PureStateEngine

OBSERVABLES = [parse_observable(o) for o in ("Z[q0]*Z[q1] + 0.3*X[q5]", "Y[q2]*X[q5]*P1[q0]")]
"""One in windows and one that reaches far."""
WRT = ("w[1]", "t")
EVERY = 80
"""Gates of a circuit: all there are come at least once."""
SINGLE = 5e-6
"""Of complex64, measured: 4e-7 on these circuits of some eighty gates."""


def circuit(seed: int, gates: int = EVERY) -> tuple[Program, list[dict[str, float]]]:
    """A random circuit on six qubits, and some parameters."""
    program, rng = random_circuit(6, seed, gates), np.random.default_rng(seed)
    return program, [{name: float(rng.normal()) for name in program.parameters} for _ in range(3)]


def test_the_circuits_have_every_gate() -> None:
    assert len(names(6)) <= EVERY


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "strict"])
def test_random_circuits_of_every_gate(kind: str) -> None:
    present(kind)
    program, rows = circuit(1)
    expected = PureStateEngine(program).gradients(rows, OBSERVABLES, WRT)
    for dtype, tolerance in (("complex128", 1e-10), ("complex64", SINGLE)):
        if kind == "numba" and dtype == "complex64":
            continue  # every loop would be compiled again
        engine = ArrayEngine(program, library=kind, dtype=dtype)
        found = engine.gradients(rows, OBSERVABLES, WRT)
        for mine, other in zip(found, expected, strict=True):
            assert_close(mine, other, tolerance)
        assert_close(engine.values(rows, OBSERVABLES), expected[0], tolerance)


@pytest.mark.parametrize("seed", [2, 3])
def test_the_hybrid_engine_finds_the_same(seed: int) -> None:
    program, rows = circuit(seed, gates=40)
    expected = HybridEngine(program).gradients(rows[:1], OBSERVABLES, WRT)
    found = ArrayEngine(program).gradients(rows[:1], OBSERVABLES, WRT)
    for mine, other in zip(found, expected, strict=True):
        assert_close(mine, other, 1e-10)


@pytest.mark.parametrize(
    "case", [c for c in CASES if not what_is_random(parse(c["program"]))], ids=lambda c: c["name"]
)
def test_reference_cases(case: dict[str, object]) -> None:
    program, observable, params = prepared(str(case["program"]), str(case["observable"]), **case["params"])  # type: ignore[arg-type]
    values, gradients = ArrayEngine(program).gradients([params], [observable], program.trainable)
    assert_close(values[0, 0], case["value"])
    assert_close(dict(zip(program.trainable, gradients[0, 0], strict=True)), case["gradient"])


def test_everything_that_an_engine_answers() -> None:
    for text in ("Z[q]*X[r] + 0.5*Y[s]", "c*P1[q]"):
        program, observable, params = prepared(RICH, text, **AT)
        check_engine(ArrayEngine(program), observable, params)
        check_curvature(ArrayEngine(program), observable, params)


def test_broken_groups_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    program, rows = circuit(1)
    expected = PureStateEngine(program).gradients(rows, OBSERVABLES, ("t",))[1]
    monkeypatch.setattr(groups, "_within", lambda t, targets, controls, k: _unless(t, targets, controls, k))
    found = ArrayEngine(program).gradients(rows, OBSERVABLES, ("t",))[1]
    with pytest.raises(AssertionError):
        assert_close(found, expected, 1e-6)


def _unless(t: np.ndarray, targets: tuple[int, ...], controls: tuple[int, ...], qubits: int) -> np.ndarray:
    """Traces over controls that are 0 as well."""
    rest, places = groups._places(targets, (), qubits)
    return np.asarray(
        t[:, rest[:, None, None] + places[:, None], rest[:, None, None] + places[None, None, :]].sum(axis=1)
    )


def test_groups_keep_the_order_and_stay_in_their_window() -> None:
    program, _ = circuit(4)
    engine = ArrayEngine(program)
    sequence = [(i.gate, n) for n, i in enumerate(_applied(engine))]  # type: ignore[attr-defined]
    for window in (2, 3, 4):
        found = groups.grouped(engine.flow.gates, sequence, 6, window)
        assert sum(len(g.gates) for g in found) == sum(
            engine.flow.gates[g].record.name != "I" for g, _ in sequence
        )
        assert len(found) < len(sequence)
        for group in found:
            if len(group.gates) > 1:
                assert not group.controls
                assert group.qubits == tuple(range(group.qubits[0], group.qubits[-1] + 1))
                assert len(group.qubits) <= window
        # On each qubit the gates come in the order of the program.
        for q in range(6):
            mine = [n for group in found for g, n in group.gates if _touches(engine, g, q)]
            assert mine == sorted(mine)


def _applied(engine: ArrayEngine) -> list[object]:
    flow, at, result = engine.flow, engine.flow.entry, []
    while hasattr(flow.instructions[at], "gate"):
        result.append(flow.instructions[at])
        at = flow.instructions[at].next  # type: ignore[union-attr]
    return result


def _touches(engine: ArrayEngine, gate: int, qubit: int) -> bool:
    small = engine.flow.gates[gate]
    return qubit in small.targets or bool(small.controls >> qubit & 1)


# --- Through the door ---------------------------------------------------------------------------------


def test_an_objective_on_arrays() -> None:
    program = qd.parse(
        "qubit: q, r para: t, n count: c while c < n do Ry(t*c)[q]; CNOT[q, r]; c++ od; Rx(t)[r]"
    )
    f = qd.expectation(program, "Z[q] + c", engine=qd.ArrayEngine(program))
    g = qd.expectation(program, "Z[q] + c")
    at = {"t": 0.4, "n": 3}
    assert_close(f(at), g(at), 1e-12)
    assert_close(f.grad(at, "t"), g.grad(at, "t"), 1e-12)
    assert_close(f.hvp(at, [1.0]), g.hvp(at, [1.0]), 1e-10)
    rows = [{"t": float(t), "n": n} for t, n in zip(np.linspace(0, 1, 6), [1, 3, 2] * 2, strict=True)]
    engine = ArrayEngine(program)
    mine = engine.gradients(rows, [parse_observable("Z[q]")], ("t",))
    other = PureStateEngine(program).gradients(rows, [parse_observable("Z[q]")], ("t",))
    for a, b in zip(mine, other, strict=True):
        assert_close(a, b, 1e-12)
    found = f.analyze(at)
    assert found.engine == "array (numpy on cpu, complex128)"
    assert found.error_bound == math.inf
    assert "one state vector, 1 group of gates, and the adjoint method" in found.reason
    with pytest.raises(QdiffError, match="made for this program"):
        qd.expectation(qd.parse("qubit: q skip"), "Z[q]", engine=qd.ArrayEngine(program))


def test_little_memory_means_smaller_parts_and_the_same_results() -> None:
    program, rows = circuit(5)
    plenty = ArrayEngine(program)
    ((path, _),) = list(plenty._by_path(rows))
    little = ArrayEngine(program, max_memory=3 * 16 * 64 + path.bytes)
    for mine, other in zip(
        little.gradients(rows, OBSERVABLES, ("t",)), plenty.gradients(rows, OBSERVABLES, ("t",)), strict=True
    ):
        assert_close(mine, other, 1e-14)


def test_a_program_that_aborts_is_worth_nothing() -> None:
    program, observable, params = prepared("qubit: q para: t Ry(t)[q]; abort; Rx(t)[q]", "Z[q]", t=0.3)
    engine = ArrayEngine(program)
    values, gradients = engine.gradients([params], [observable], ("t",))
    assert (values.tolist(), gradients.tolist()) == ([[0.0]], [[[0.0]]])
    assert engine.values([params], [observable]).tolist() == [[0.0]]
    assert engine.state(params) == {}
    assert engine.curvature(params, [observable], ("t",), np.eye(1)).products.tolist() == [[[0.0]]]
    values, along = engine.tangents(params, [observable], ("t",), np.eye(1))
    assert (values.tolist(), along.tolist()) == ([0.0], [[0.0]])


def test_what_is_refused() -> None:
    with pytest.raises(EvaluationError) as caught:
        ArrayEngine(parse("qubit: q\nskip;\nif M[q] = 0 then X[q] fi"))
    assert str(caught.value) == (
        "ArrayEngine is for programs that never measure, reset or flip, without channels; this one has a "
        "measurement (line 3). For its shots choose backend=qd.ArrayBackend(…), for exact values another "
        "engine."
    )
    large = ArrayEngine(parse("qubit: q[28] H[q[0]]"))
    with pytest.raises(ResourceError) as caught_memory:
        large.values([{}], [parse_observable("Z[q[0]]")])
    assert str(caught_memory.value) == (
        "ArrayEngine needs 12 GiB for 3 states on 28 qubits; the limit is 4 GiB. Raise it (qd.ArrayEngine(…, "
        "max_memory=bytes)), use fewer qubits, or dtype='complex64', or estimate from shots: "
        "f.estimate(params, shots=…), --shots on the command line."
    )
    with pytest.raises(QdiffError, match="max_memory is a positive whole number of bytes"):
        ArrayEngine(parse("qubit: q skip"), max_memory=1.5)  # type: ignore[arg-type]
    with pytest.raises(QdiffError, match="There is no array library 'numpi'"):
        ArrayEngine(parse("qubit: q skip"), library="numpi")
    nothing = ArrayEngine(parse("qubit: q para: t Ry(1/t)[q]"))
    with pytest.raises(EvaluationError, match="divides by zero"):
        nothing.values([{"t": 0.0}], [parse_observable("Z[q]")])
    forever = ArrayEngine(parse("qubit: q count: c while c >= 0 do c++ od"))
    with pytest.raises(EvaluationError, match="does not end"):
        forever.state({})


def peak(call: Callable[[], object]) -> int:
    """Bytes that the second of two calls allocates at most; libraries keep nothing large."""
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def on_17_qubits(gates: str) -> ArrayEngine:
    text = ";\n".join(gates.format(i, i + 1) for i in range(16))
    engine = ArrayEngine(parse(f"qubit: q[17]\npara: t\n{text}"))
    engine.library.piece = 2**12  # type: ignore[attr-defined]
    return engine


def test_three_states_are_held_at_most() -> None:
    engine = on_17_qubits("Ry(t*{0})[q[{0}]]; CNOT[q[{0}], q[{1}]]")
    observable = parse_observable("Z[q[0]]*Z[q[16]] + X[q[3]] + Y[q[2]]*X[q[9]]")
    assert peak(lambda: engine.gradients([{"t": 0.1}], [observable], ("t",))) < 3.3 * (16 << 17)


def test_six_states_are_held_at_most_for_second_derivatives() -> None:
    engine = on_17_qubits("C_Ry(t*{0})[q[{1}]][q[{0}]]")
    observable = parse_observable("Z[q[0]]*Z[q[16]] + X[q[3]]")
    found = peak(lambda: engine.curvature({"t": 0.1}, [observable], ("t",), np.eye(1)))
    assert 4 * (16 << 17) < found < 6.3 * (16 << 17)
