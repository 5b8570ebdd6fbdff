"""Memory is estimated before it is taken: not less than what is used, not wildly more."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sim.hybrid.agreement import engine_for

from qdiff.errors import ResourceError
from qdiff.lang.parameters import resolve
from qdiff.lang.text.observable_text import parse_observable
from qdiff.lang.text.parser import parse
from qdiff.sim.hybrid import memory
from qdiff.sim.hybrid.engine import HybridEngine
from qdiff.sim.hybrid.memory import Work

LAYER = "; ".join(f"Ry(w[{i}])[q[{i}]]; CNOT[q[{i}], q[{i + 1}]]" for i in range(4))
LOOPED = f"""
    qubit: q[5] para: w[4] H[q[0]];
    while M[q[0]] = 1 do {LAYER}; q[1] := |0> od; Ry(w[0])[q[2]]
"""
PROGRAMS = {
    "loop on five qubits": LOOPED,
    "a straight circuit": f"qubit: q[6] para: w[4] {LAYER}; Rxx(w[0])[q[4], q[5]]",
    "a chain of stores": "qubit: q[2] para: w[4] count: c "
    "while c < 300 do Ry(w[0])[q[0]]; Rxx(w[1]*c)[q[0], q[1]]; if M[q[0]] = 1 then Rx(w[2])[q[1]] fi; c++ od",
    "moments": "qubit: q[3] para: w[4] count: c, k "
    "while M[q[0]] = 0 do Ry(w[0])[q[0]]; Rx(w[1])[q[1]]; c++; k := k + c od",
    "branches": "qubit: q[5] para: w[4] count: c "
    f"{LAYER}; c := M[q[0], q[1]]; Ry(w[0]*c)[q[2]]; c := M[q[2]]; Ry(w[1]*c)[q[3]]; {LAYER}",
    "a walk on counters": "qubit: q para: w[4] count: c c := 40; H[q]; "
    "while c > 0 and c < 80 do Ry(w[0])[q]; if M[q] = 1 then c++ else c := c - 1 fi od",
}
ROW = {f"w[{i}]": 0.4 + 0.1 * i for i in range(4)}
ASKED = [parse_observable("Z[q[0]]"), parse_observable("X[q[1]]*Z[q[0]]")]


def asked(name: str) -> list[Any]:
    if name == "a walk on counters":
        return [parse_observable("Z[q]"), parse_observable("c*X[q]")]
    return [ASKED[0], parse_observable("c*k*X[q[1]]")] if name == "moments" else ASKED


def traced(work: Any) -> int:
    """The most bytes that NumPy and Python had at once, beyond what was there."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


WIDTHS = ("values", "gradients", "curvature", "batch")


@pytest.mark.parametrize("what", WIDTHS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_estimate_is_enough_and_not_absurd(name: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for(PROGRAMS[name])
    wrt, observables = engine.program.trainable, asked(name)
    estimates: list[int] = []
    require = memory.require

    def watched(needed: int, *args: Any) -> None:
        estimates.append(needed)
        require(needed, *args)

    monkeypatch.setattr(memory, "require", watched)
    engine.values([ROW], observables)  # what is prepared once, and imports
    estimates.clear()
    if what == "values":
        used = traced(lambda: engine.values([ROW], observables))
    elif what == "gradients":
        used = traced(lambda: engine.gradients([ROW], observables, wrt))
    elif what == "curvature":
        used = traced(lambda: engine.curvature(ROW, observables, wrt, np.eye(4)))
    else:
        rows = [{key: x + 0.01 * i for key, x in ROW.items()} for i in range(6)]
        used = traced(lambda: engine.gradients(rows, observables, wrt))
    estimate = max(estimates)
    slack = 1 << 19  # Python objects
    assert used <= estimate + slack, f"{used} bytes were used, {estimate} estimated"
    assert estimate <= 20 * used + slack, f"{used} bytes were used, {estimate} estimated"


def test_the_analysis_names_the_estimate() -> None:
    engine = engine_for(LOOPED)
    found = engine.analyze(ROW, ASKED[0], engine.program.trainable)
    graph = engine.solve([ROW], [ASKED[0]], engine.program.trainable).graph
    assert found.memory == memory.needed(graph, 32, Work(states=4, columns=2))
    assert f"memory                   {found.memory / 2**20:.3g} MiB" in str(found)


def test_more_rows_columns_and_moments_take_more() -> None:
    engine = engine_for(LOOPED)
    graph = engine.solve([ROW], [ASKED[0]], ()).graph
    least = memory.needed(graph, 32, Work())
    assert memory.needed(graph, 32, Work(rows=10)) > least
    assert memory.needed(graph, 32, Work(states=4)) > least
    assert memory.needed(graph, 32, Work(columns=4)) > least
    assert memory.needed(graph, 32, Work(rows=1, states=2, columns=1)) == least
    counting = engine_for(PROGRAMS["moments"])
    few = counting.solve([ROW], [parse_observable("Z[q[0]]")], ()).graph
    many = counting.solve([ROW], [parse_observable("c^2*k")], ()).graph
    assert memory.needed(many, 8, Work()) > memory.needed(few, 8, Work())


# --- Refusals --------------------------------------------------------------------------------------


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on solving anything is a failure of the test."""

    def never(*args: object, **more: object) -> None:
        raise AssertionError("something was computed")

    monkeypatch.setattr(HybridEngine, "_solve", never)
    monkeypatch.setattr("qdiff.sim.hybrid.unitaries.Unitaries.__init__", never)


def test_a_register_too_large_is_refused_before_anything_is_allocated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forbid(monkeypatch)
    engine = engine_for("qubit: q[40] para: t Ry(t)[q[0]]")
    assert traced(refused(engine)) < 1 << 22
    with pytest.raises(ResourceError) as caught:
        engine.values([{"t": 0.1}], [ASKED[0]])
    assert str(caught.value) == (
        "The hybrid engine needs at least about 2^56 GiB for density operators on 40 qubits; "
        "the limit is 4 GiB. Raise it (qd.expectation(…, max_memory=bytes)), "
        'use fewer qubits or smaller counters, follow branches (engine="branching"), or estimate from shots: '
        "f.estimate(params, shots=…), --shots on the command line."
    )


def test_a_register_beyond_all_numbers_is_refused_too() -> None:
    engine = engine_for("qubit: q[2000] para: t Ry(t)[q[0]]")
    with pytest.raises(ResourceError, match=r"at least about 2\^3976 GiB"):
        engine.values([{"t": 0.1}], [ASKED[0]])


QUESTIONS: dict[str, Callable[[HybridEngine, dict[str, float]], object]] = {
    "values": lambda engine, row: engine.values([row], ASKED),
    "gradients": lambda engine, row: engine.gradients([row], ASKED, ["t"]),
    "a batch": lambda engine, row: engine.gradients([row, {"t": 0.3}], ASKED, ["t"]),
    "tangents": lambda engine, row: engine.tangents(row, ASKED, ["t"], np.ones((1, 1))),
    "curvature": lambda engine, row: engine.curvature(row, ASKED, ["t"], np.ones((1, 1))),
    "state": lambda engine, row: engine.state(row),
    "analyze": lambda engine, row: engine.analyze(row, ASKED[0], ["t"]),
}


def refused(engine: HybridEngine, question: str = "values") -> Callable[[], None]:
    """Ask, and expect the refusal."""

    def ask() -> None:
        with pytest.raises(ResourceError):
            QUESTIONS[question](engine, {"t": 0.1})

    return ask


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_is_refused_in_time(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """H as a matrix on 20 qubits would have 16 TiB."""
    forbid(monkeypatch)
    engine = engine_for("qubit: q[20] para: t H[q[0]]; Ry(t)[q[0]]; if M[q[0]] = 1 then X[q[1]] fi")
    assert traced(refused(engine, question)) < 1 << 22
    with pytest.raises(ResourceError, match="density operators on 20 qubits; the limit is 4 GiB"):
        QUESTIONS[question](engine, {"t": 0.1})


def test_constant_gates_are_not_multiplied_before_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    body = "; ".join(f"H[q[{i % 9}]]; T[q[{i % 8}]]; Ry(t)[q[0]]" for i in range(40))
    engine = HybridEngine(parse(f"qubit: q[9] para: t {body}"), max_memory=1 << 26)
    forbid(monkeypatch)
    assert traced(refused(engine)) < 1 << 26


def test_the_limit_counts_the_states_of_all_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse("qubit: q[4] para: t count: c while c < 50 do Ry(t)[q[0]]; c++ od")
    small = HybridEngine(program, max_memory=16 * 256 * 20)
    forbid(monkeypatch)
    with pytest.raises(ResourceError, match="use fewer qubits or smaller counters"):
        small.values([{"t": 0.1}], [ASKED[0]])


def test_the_basis_of_an_iterative_solve_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdiff.sim.hybrid.linear.DENSE_UP_TO", 0)
    text = "qubit: q[4] para: t q := |0>; while M[q[0]] = 1 do Ry(t)[q[0]] od"
    enough = 8 * 256 * 300 * 2
    with pytest.raises(ResourceError, match="the limit is"):
        HybridEngine(parse(text), max_memory=enough // 4).values([{"t": 0.1}], [ASKED[0]])
    found = HybridEngine(parse(text), max_memory=enough).values([{"t": 0.1}], [parse_observable("1")])
    assert found[0, 0] == 1.0


def test_directions_and_observables_count() -> None:
    engine = HybridEngine(parse(LOOPED), max_memory=1 << 27)
    row = resolve(engine.program, {"w": [0.4, 0.5, 0.6, 0.7]})
    engine.gradients([row], ASKED, engine.program.trainable)
    with pytest.raises(ResourceError, match="the limit is 128 MiB"):
        engine.curvature(row, ASKED * 30, engine.program.trainable, np.ones((60, 4)))
