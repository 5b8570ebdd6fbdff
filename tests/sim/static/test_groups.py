"""Groups of gates against gate by gate: every gate, small and large blocks, both precisions."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from sim.static.circuits import circuit, observables

from qdiff.lang.observable import Observable
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats
from qdiff.sim.pure.branching import BranchingEngine
from qdiff.sim.pure.memory import state_bytes
from qdiff.sim.static.engine import PureStateEngine
from qdiff.sim.static.groups import Groups
from qdiff.sim.static.large import Large

Row = dict[str, float]
EXACT, SINGLE = 1e-10, 2e-4


def parameters(rng: np.random.Generator, program: Program) -> Row:
    return {name: float(rng.uniform(-3, 3)) for name in program.parameters}


def sums(qubits: int, count: int = 3) -> list[Observable]:
    return [parse_observable(text) for text in observables(qubits)[:count]]


def large(program: Program, row: dict[str, float], dtype: Any = np.float64, block_bits: int = 14) -> Large:
    """The mechanism for large registers, on any register."""
    engine = PureStateEngine(program)
    ((line, _),) = engine._by_path([row])
    made = Large(
        line,
        lambda wrt: engine.preparation.expressions(line, wrt),
        lambda o, bits: engine._operator(line, o, bits),
        dtype,
    )
    made.groups = Groups(line, dtype, block_bits)
    return made


def found(
    program: Program,
    rows: list[dict[str, float]],
    observables: list[Observable],
    threads: int = 1,
    **options: Any,
) -> tuple[Floats, Floats]:
    made = large(program, rows[0], **options)
    table = np.array([[row[name] for name in program.parameters] for row in rows])
    wrt = program.trainable
    values, slopes = made.gradients(table, observables, wrt, together=2, threads=threads)
    np.testing.assert_allclose(made.values(table, observables, threads), values, atol=EXACT)
    return values, slopes


@pytest.mark.parametrize("seed", range(12))
def test_random_circuits_gate_by_gate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    qubits = 1 + seed % 8
    program, several = circuit(qubits, seed, 60), sums(qubits)
    rows = [parameters(rng, program) for _ in range(2)]
    values, slopes = BranchingEngine(program).gradients(rows, several, program.trainable)
    cases: list[tuple[dict[str, Any], float]] = [({}, EXACT), ({"dtype": np.float32}, SINGLE)]
    for options, tolerance in cases:
        mine = found(program, rows, several, **options)
        np.testing.assert_allclose(mine[0], values, atol=tolerance)
        np.testing.assert_allclose(mine[1], slopes, atol=5 * tolerance)


@pytest.mark.parametrize("seed", range(3))
def test_blocks_smaller_than_the_state(seed: int) -> None:
    program, several = circuit(10, seed, 80), sums(10, 1)
    row = parameters(np.random.default_rng(seed), program)
    values, slopes = BranchingEngine(program).gradients([row], several, program.trainable)
    blocks: list[dict[str, Any]] = [
        {"block_bits": 7}, {"block_bits": 8}, {"block_bits": 8, "dtype": np.float32}
    ]  # fmt: skip
    for options in blocks:
        made = large(program, row, **options)
        assert len(made.groups.tables.sweeps) > 2
        mine = found(program, [row], several, **options)
        tolerance = SINGLE if "dtype" in options else EXACT
        np.testing.assert_allclose(mine[0], values, atol=tolerance)
        np.testing.assert_allclose(mine[1], slopes, atol=5 * tolerance)
        psi = made.state(np.array([[row[name] for name in program.parameters]]), 1)
        ((mixture),) = BranchingEngine(program).state(row).values()
        assert mixture.vectors is not None
        assert abs(np.vdot(psi, mixture.vectors[0])) == pytest.approx(1, abs=tolerance)


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.static.threads.THREADS_FROM", 1 << 8)
    program, pair = circuit(10, 5, 60), sums(10, 2)
    row = parameters(np.random.default_rng(5), program)
    one = found(program, [row], pair, block_bits=7)
    for threads in (2, 3):
        several = found(program, [row], pair, threads, block_bits=7)
        assert np.array_equal(one[0], several[0])
        assert np.array_equal(one[1], several[1])


def test_rows_on_threads_change_no_bit() -> None:
    rng = np.random.default_rng(6)
    program, several = circuit(7, 6, 30), sums(7)
    rows = [parameters(rng, program) for _ in range(5)]
    one, two = found(program, rows, several), found(program, rows, several, 2)
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])


def test_a_gate_on_more_qubits_than_a_block() -> None:
    controls = ", ".join(f"q[{i}]" for i in range(9))
    text = f"qubit: q[10] para: t H[q]; C_Ry(t)[{controls}][q[9]]; Ry(t)[q[3]]"
    text = text.replace("H[q]", "; ".join(f"Ry(2.8)[q[{i}]]" for i in range(9)))
    program, row = parse(text), {"t": 0.7}
    several = [parse_observable("Z[q[9]] + X[q[3]]")]
    values, slopes = BranchingEngine(program).gradients([row], several, ("t",))
    mine = found(program, [row], several, block_bits=7)
    np.testing.assert_allclose(mine[0], values, atol=EXACT)
    np.testing.assert_allclose(mine[1], slopes, atol=EXACT)


def test_two_states_are_enough() -> None:
    """What is allocated at once for one observable: ψ, λ, and the buffers of blocks."""
    program, one = circuit(17, 7, 40), sums(17, 1)
    row = parameters(np.random.default_rng(7), program)
    table = np.array([[row[name] for name in program.parameters]])
    large(program, row, block_bits=12).gradients(table, one, ("t",), 1, 1)  # it loads and compiles
    made = large(program, row, block_bits=12)  # nothing is kept yet
    tracemalloc.start()
    made.gradients(table, one, ("t",), 1, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 2 * state_bytes(17) < peak < 2.5 * state_bytes(17)


def test_diagonal_gates_with_angles_are_phases_of_products() -> None:
    ring = "; ".join(f"Rzz(t)[q[{i}], q[{(i + 1) % 7}]]" for i in range(7))
    ladder = "CNOT[q[0], q[1]]; CNOT[q[1], q[2]]; Rz(w[1]*t)[q[2]]; CNOT[q[1], q[2]]; CNOT[q[0], q[1]]"
    others = "C_P(w[0])[q[3]][q[4]]; C_Rz(t)[q[5]][q[4]]; C_Z[q[1], q[5]][q[6]]; SWAP[q[0], q[6]]; S[q[6]]"
    mixer = "; ".join(f"Rx(w[0])[q[{i}]]" for i in range(7))
    program = parse(f"qubit: q[7] para: t, w[2] {mixer}; {ring}; {ladder}; {mixer}; {others}; {ring}")
    row, several = {"t": 0.7, "w[0]": -1.1, "w[1]": 0.4}, [parse_observable("X[q[2]]*Y[q[6]] + Z[q[0]]")]
    tables = large(program, row).groups.tables
    assert len(tables.diagonals) == 7 + 1 + 2 + 7
    values, slopes = BranchingEngine(program).gradients([row], several, program.trainable)
    mine = found(program, [row], several)
    np.testing.assert_allclose(mine[0], values, atol=EXACT)
    np.testing.assert_allclose(mine[1], slopes, atol=EXACT)
