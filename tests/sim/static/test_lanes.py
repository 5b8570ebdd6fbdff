"""Lanes: plane rotations on small registers against the other ways to the same numbers."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from amounts import examples
from helpers import assert_close
from sim.static.circuits import circuit, names, observables
from sim.static.test_engine import AT, RICH

from qdiff.lang.gates import is_gate, record
from qdiff.lang.observable import Observable
from qdiff.lang.parameter_table import ParameterTable
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.sim.exact import Floats
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.static.engine import PureStateEngine
from qdiff.sim.static.lanes import BYTES_OF_GIVEN, Lanes, serves
from qdiff.sim.static.line import Line
from qdiff.sim.static.vector_sizes import LANES

TIGHT = 1e-10


def lanes_of(program: Program, params: dict[str, float] | None = None) -> Lanes:
    engine = PureStateEngine(program, threads=1)
    rows = [params or dict.fromkeys(program.parameters, 0.0)]
    ((line, _),) = engine._by_path(rows)
    return Lanes(line, partial(engine.preparation.expressions, line), partial(engine._masks, line))


def table(program: Program, rows: int, seed: int = 0) -> ParameterTable:
    values = np.random.default_rng(seed).uniform(-3, 3, (rows, len(program.parameters)))
    return ParameterTable(program.parameters, values)


def asked(
    lanes: Lanes, some: list[Observable], wrt: tuple[str, ...], values: Floats, width: int, threads: int = 1
) -> tuple[Floats, Floats]:
    return lanes.run(lanes.question(some, wrt), values, width, threads)


def check(program: Program, texts: list[str], rows: int = 3, seed: int = 0) -> None:
    """Values and derivatives against the hybrid engine and against the path of second derivatives."""
    some, given = [parse_observable(text) for text in texts], table(program, rows, seed)
    wrt = program.trainable
    lanes = lanes_of(program)
    values, slopes = asked(lanes, some, wrt, given.values, LANES)
    for mine, other in zip(
        (values, slopes), HybridEngine(program).gradients(list(given), some, wrt), strict=True
    ):
        assert_close(mine, other, TIGHT)
    by_gates = PureStateEngine(program).curvature(given[0], some, wrt, np.eye(len(wrt))[:1])
    assert_close(values[0], by_gates.values, TIGHT)
    assert_close(slopes[0], by_gates.gradients, TIGHT)
    alone = lanes.run(lanes.question(some, None), given.values, LANES)[0]
    assert np.array_equal(alone, values)


# --- Right ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(examples(4)))
@pytest.mark.parametrize("qubits", [1, 2, 3, 4])
def test_random_circuits_of_every_gate(qubits: int, seed: int) -> None:
    check(circuit(qubits, 10 * qubits + seed), observables(qubits), seed=seed)


def test_the_circuits_have_every_gate() -> None:
    text = "".join(str(circuit(4, 40 + seed).body) for seed in range(4))
    written = [name for name in names(4) if not (is_gate(name) and record(name).controls)]
    assert [name for name in written if f"'{name}'" not in text] == []


def test_a_larger_register() -> None:
    check(circuit(6, 7, gates=60), [*observables(6), "Z[q2]*Z[q3]*X[q4]"], rows=2)


def test_loops_on_one_path() -> None:
    program = parse(RICH)
    params = resolve(program, AT)
    some = [parse_observable(text) for text in ("Z[q]*X[r] + 0.5*Y[s]", "c*P1[q]", "P0[s]*Y[q]*X[r]")]
    rows = [{**params, "t": t} for t in (0.7, -0.2)]
    values = np.array([list(row.values()) for row in rows])
    found = asked(lanes_of(program, params), some, program.trainable, values, 1)
    expected = HybridEngine(program).gradients(rows, some, program.trainable)
    for mine, other in zip(found, expected, strict=True):
        assert_close(mine, other, TIGHT)


def test_derivatives_by_some_parameters_in_any_order() -> None:
    program = circuit(3, 5)
    some, given = [parse_observable(text) for text in observables(3)], table(program, 2)
    lanes = lanes_of(program)
    _, every = asked(lanes, some, program.trainable, given.values, LANES)
    for wrt in (("w[2]",), ("w[1]", "t"), ("w[0]", "w[2]", "t")):
        _, slopes = asked(lanes, some, wrt, given.values, LANES)
        assert_close(slopes, every[:, :, [program.trainable.index(name) for name in wrt]], 1e-14)
    assert asked(lanes, some, (), given.values, LANES)[1].shape == (2, 3, 0)


@pytest.mark.parametrize(
    ("text", "value", "slope"),
    [
        ("qubit: q para: t skip", 1.0, 0.0),
        ("qubit: q para: t I[q]", 1.0, 0.0),
        ("qubit: q para: t X[q]; I[q]", -1.0, 0.0),
        ("qubit: q para: t Ry(t)[q]", np.cos(0.3), -np.sin(0.3)),
        ("qubit: q para: t Ry(t)[q]; Ry(2*t)[q]; H[q]; H[q]", np.cos(0.9), -3 * np.sin(0.9)),
        ("qubit: q para: t Ry(1e9*t)[q]", np.cos(3e8), -1e9 * np.sin(3e8)),
    ],
)
def test_small_programs(text: str, value: float, slope: float) -> None:
    program = parse(text)
    lanes = lanes_of(program)
    wrt = ("t",)
    values, slopes = asked(lanes, [parse_observable("Z[q]")], wrt, np.array([[0.3]]), 1)
    assert_close(values[0, 0], value, 1e-14)
    assert_close(slopes[0, 0, 0] / max(1.0, abs(slope)), slope / max(1.0, abs(slope)), 1e-14)


@pytest.mark.parametrize("angle", [0.0, 1e-300, 1e-9, np.pi / 2, 3.0, -7.0, 1e3, 9.9e4, 1.1e5, -4e9, 1e22])
def test_sines_and_cosines(angle: float) -> None:
    lanes = lanes_of(parse("qubit: q para: t Ry(2*t)[q]"))
    some = [parse_observable(text) for text in ("Z[q]", "X[q]")]
    values, _ = asked(lanes, some, ("t",), np.full((LANES, 1), angle), LANES)
    assert np.abs(values - [np.cos(2 * np.longdouble(angle)), np.sin(2 * np.longdouble(angle))]).max() < 2e-15


# --- The same bits --------------------------------------------------------------------------------


def test_results_do_not_depend_on_company_or_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    program = circuit(3, 11)
    some, given = [parse_observable(text) for text in observables(3)], table(program, 2 * LANES + 3)
    lanes, wrt = lanes_of(program), program.trainable
    expected = asked(lanes, some, wrt, given.values, LANES)
    monkeypatch.setattr("qdiff.sim.static.lanes.WORTH_A_THREAD", 1)
    for threads in (2, 3):
        for mine, other in zip(asked(lanes, some, wrt, given.values, LANES, threads), expected, strict=True):
            assert np.array_equal(mine, other)
    for mine, other in zip(asked(lanes, some, wrt, given.values, 1), expected, strict=True):
        assert np.array_equal(mine, other)


def test_many_sets_are_run_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse("qubit: q para: t, w[3] gate Drift(a)[p] = exp(-i (a * 0.5*X + 0.8*Z)) Drift(t*w[1])[q]")
    lanes, given, some = lanes_of(program), table(program, 10), [parse_observable("Z[q]")]
    expected = asked(lanes, some, ("t",), given.values, LANES)
    monkeypatch.setattr("qdiff.sim.static.lanes.ROWS_AT_ONCE", 3)
    for mine, other in zip(asked(lanes, some, ("t",), given.values, LANES), expected, strict=True):
        assert np.array_equal(mine, other)


def test_a_question_is_prepared_once() -> None:
    program = circuit(2, 3)
    lanes, some = lanes_of(program), [parse_observable("Z[q0]")]
    assert lanes.question(some, program.trainable) is lanes.question(list(some), list(program.trainable))
    assert lanes.question(some, None) is not lanes.question(some, program.trainable)


# --- Sizes ----------------------------------------------------------------------------------------


def test_when_lanes_serve() -> None:
    def line(qubits: int, gates: int = 50) -> Line:
        return cast(Line, SimpleNamespace(qubits=qubits, path=SimpleNamespace(gates=[None] * gates)))

    assert serves(line(9), 1)
    assert not serves(line(10), 7)
    assert serves(line(10), 8)
    assert not serves(line(11), 1000)
    assert serves(line(8, 1 << 15), 1)
    assert not serves(line(8, (1 << 15) + 1), 1000)


def test_lanes_fit_in_memory_or_are_not_used() -> None:
    program = circuit(3, 2)
    lanes = lanes_of(program)
    question = lanes.question([parse_observable("Z[q0]")], program.trainable)
    each = 8 * question.per_lane + BYTES_OF_GIVEN * lanes.tables.given
    assert lanes.lanes(question, 1000, 1 << 30) == LANES
    assert lanes.lanes(question, 1, 1 << 30) == 1
    assert lanes.lanes(question, 1000, lanes.tables.bytes + each) == 1
    assert lanes.lanes(question, 1000, lanes.tables.bytes + each - 1) == 0
    assert lanes.lanes(question, 1000, 0) == 0


def test_fixed_gates_that_move_components_cost_nothing() -> None:
    program = parse(
        "qubit: q, r, s para: t X[q]; Y[r]; Z[s]; S[q]; Sdg[r]; CNOT[q, r]; CZ[r, s]; CY[q, s]; SWAP[q, r]; "
        "ISWAP[r, s]; CCNOT[q, r, s]; CSWAP[q, r, s]; Ry(t)[q]"
    )
    from qdiff.sim.static.lane_kernels import OPERATIONS

    assert lanes_of(program).tables.table[OPERATIONS] == 1
    check(program, ["Z[q]*Y[r] + X[s]", "Y[q]*X[r]*Y[s]"])
