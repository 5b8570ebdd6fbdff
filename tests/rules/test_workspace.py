"""Names and declarations that a transformation adds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qdiff.lang.check import check
from qdiff.lang.expr import ONE
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Assign, Gate, GateDeclaration
from qdiff.rules.workspace import Workspace

PROGRAM = parse("qubit: q, hit para: eps count: hit2, m[2] gate Half[x] = [[1, 0], [0, 1]] X[q]")


def test_names_are_new_and_asked_for_once() -> None:
    workspace = Workspace(PROGRAM)
    assert workspace.hit == "hit3"  # a qubit and a counter have the first two
    assert [workspace.names.fresh("eps") for _ in range(3)] == ["eps2", "eps3", "eps4"]
    assert workspace.names.fresh("m") == "m2"
    assert (workspace.outcome, workspace.passes, workspace.sign) == ("outcome", "passes", "sign")
    assert (workspace.outcome, workspace.passes, workspace.sign) == ("outcome", "passes", "sign")
    assert workspace.counters == ["hit3", "outcome", "passes", "sign"]


def test_ancillas_are_shared() -> None:
    workspace = Workspace(PROGRAM)
    assert workspace.ancillas(0) == ()
    assert workspace.completed(PROGRAM).qubits == ("q", "hit")
    assert workspace.ancillas(1) == ("ancilla[0]",)
    assert workspace.ancillas(3) == ("ancilla[0]", "ancilla[1]", "ancilla[2]")
    assert workspace.ancillas(2) == ("ancilla[0]", "ancilla[1]")
    assert workspace.completed(PROGRAM).qubits == ("q", "hit", "ancilla[0]", "ancilla[1]", "ancilla[2]")


def test_gates_are_declared_once_under_a_new_name() -> None:
    workspace = Workspace(PROGRAM)
    name = workspace.unitary("Half", np.diag([1.0, 1j]))
    assert (name, workspace.unitary("Half", np.diag([1.0, 1j]))) == ("Half2", "Half2")
    assert workspace.unitary("Half", np.diag([1.0, -1j])) == "Half3"
    made = workspace.completed(PROGRAM)
    assert [gate.name for gate in made.gate_declarations] == ["Half", "Half2", "Half3"]
    assert all(isinstance(gate, GateDeclaration) for gate in made.gate_declarations)
    np.testing.assert_array_equal(made.record("Half2").matrix(), np.diag([1, 1j]))


def test_what_was_asked_for_is_declared() -> None:
    workspace = Workspace(PROGRAM)
    qubit, parameter, counter = workspace.qubit("q"), workspace.parameter("eps"), workspace.counter("k")
    body = (Gate("X", (), (), (qubit,)), Assign(counter, ONE))
    made = workspace.completed(replace(PROGRAM, body=body))
    check(made)
    assert (made.qubits[-1], made.parameters[-1], made.counters[-2:]) == ("q2", parameter, ("hit3", "k"))
    assert parse(str(made)) == made
    with pytest.raises(Exception, match="q2"):
        check(replace(PROGRAM, body=body))  # without the declarations
