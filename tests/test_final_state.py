"""Final states by store."""

from __future__ import annotations

import math

import numpy as np
import pytest
from exact_reference import ReferenceEngine
from helpers import assert_close

import qdiff as qd
from qdiff.errors import QdiffError, ResourceError
from qdiff.sim.analysis import Analysis
from qdiff.sim.exact import Mixture

TEXT = (
    "qubit: q, r para: t count: c, m[2] Ry(t)[q]; CNOT[q, r]; m[1] := M[q]; c := 2*m[1]; "
    "if m[1] = 1 then if flip(0.25) then abort fi fi"
)
T = 0.8
ONE = math.sin(T / 2) ** 2


@pytest.fixture
def found() -> qd.HybridState:
    program = qd.parse(TEXT)
    return qd.state(program, {"t": T}, engine=ReferenceEngine(program))


def test_stores_with_their_states(found: qd.HybridState) -> None:
    assert (found.qubits, found.counters) == (("q", "r"), ("c", "m[0]", "m[1]"))
    assert list(found) == [(0, 0, 0), (2, 0, 1)]
    assert len(found) == 2
    assert (2, 0, 1) in found
    assert_close(found.probabilities, {(0, 0, 0): 1 - ONE, (2, 0, 1): 0.75 * ONE})
    both = np.zeros((4, 4))
    both[0, 0], both[3, 3] = 1 - ONE, 0.75 * ONE
    assert_close(found[2, 0, 1].density_matrix(), np.diag([0, 0, 0, 0.75 * ONE]))
    assert_close(found[{"c": 2, "m[1]": 1, "m[0]": 0}].probability, 0.75 * ONE)
    assert_close(found.density_matrix(), both)
    assert_close(found.termination_probability, 1 - 0.25 * ONE)
    assert_close(found.aborted, 0.25 * ONE)
    assert found.lost == 0


def test_what_it_says(found: qd.HybridState) -> None:
    assert str(found) == (
        "2 qubits: q, r\n"
        "  c = 0, m[0] = 0, m[1] = 0  probability 0.848353\n"
        "  c = 2, m[0] = 0, m[1] = 1  probability 0.113735\n"
        "  aborted, probability 0.0379117"
    )
    assert repr(found) == "HybridState(2 stores; ends with probability 0.962088)"


def test_many_stores_are_cut_short() -> None:
    program = qd.parse("qubit: q[2] count: c, k c := M[q[0]]; H[q[0]]; H[q[1]]; c := M[q[0], q[1]]; "
                       "if flip(0.25) then k := 3 fi; if flip(0.25) then k := k + 1 fi")  # fmt: skip
    text = str(qd.state(program, engine=ReferenceEngine(program)))
    assert len(text.splitlines()) == 1 + 8 + 1
    assert text.splitlines()[-1] == "  and 8 more stores with probability 0.25"


def test_without_counters() -> None:
    program = qd.parse("qubit: q H[q]")
    found = qd.state(program, engine=ReferenceEngine(program))
    assert_close(found[()].density_matrix(), np.full((2, 2), 0.5))
    assert_close(found[{}].probability, 1)
    assert str(found) == "1 qubits: q\n  no counters  probability 1"


def test_one_counter_is_named_by_its_value() -> None:
    program = qd.parse("qubit: q count: c H[q]; c := M[q]")
    found = qd.state(program, engine=ReferenceEngine(program))
    assert_close(found[1].density_matrix(), np.diag([0, 0.5]))


def test_runs_that_never_end_are_lost() -> None:
    class Trapping(ReferenceEngine):
        def state(self, parameters):  # type: ignore[no-untyped-def]
            return {(): Mixture(vectors=np.array([[math.sqrt(0.5), 0]], dtype=complex))}

        def analyze(self, parameters, observable, wrt, bounds=True) -> Analysis:  # type: ignore[no-untyped-def]
            return Analysis(0.5, 0.375, 0.125, (), {}, 0.0)

    program = qd.parse("qubit: q H[q]; while M[q] = 1 do skip od")
    found = qd.state(program, engine=Trapping(program))
    assert (found.lost, found.aborted) == (0.5, 0)
    assert "\n  never ended, probability 0.5" in str(found)
    assert_close(found.density_matrix(), np.diag([0.5, 0]))


@pytest.mark.parametrize(
    ("store", "message"),
    [
        ((1, 0, 0), "No run ends with c = 1, m[0] = 0, m[1] = 0. Stores: c = 0, m[0] = 0, m[1] = 0, c = 2, "
         "m[0] = 0, m[1] = 1."),
        (1, "A store holds the values of c, m[0], m[1]: 3 numbers, got 1."),
        ({"c": 1}, "The store has no value for m[0], m[1]."),
        ({"d": 1}, "`d` is not a counter. Counters: c, m[0], m[1]."),
    ],
)  # fmt: skip
def test_stores_that_are_not_there(found: qd.HybridState, store: object, message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        found[store]  # type: ignore[index]
    assert str(caught.value).startswith(message)


def test_what_has_no_state() -> None:
    with pytest.raises(QdiffError, match=r"Expected a Program \(qd.parse, qd.load\), got str."):
        qd.state("qubit: q skip")  # type: ignore[arg-type]
    with pytest.raises(QdiffError, match="no value for t"):
        qd.state(qd.parse(TEXT))


def test_a_density_matrix_that_does_not_fit(found: qd.HybridState) -> None:
    program = qd.parse(TEXT)
    small = qd.state(program, {"t": T}, max_memory=200, engine=ReferenceEngine(program))
    with pytest.raises(ResourceError) as caught:
        small.density_matrix()
    assert str(caught.value) == (
        "A density matrix on 2 qubits takes 512 B; the limit is 200 B. "
        "The vectors of a store are smaller: state[store].vectors."
    )
