"""Parts of circuits: every gate once, in an order that changes nothing, on few qubits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim.static.checks import check_order

from qdiff.sim.static.schedule import Gate, Part, Waiting, factors_of, groups


def check(found: Sequence[Part], gates: Sequence[Gate], capacity: int) -> None:
    check_order([g for part in found for g in part.gates], gates)
    for part in found:
        assert len(part.qubits) <= capacity or len(part.gates) == 1
        moved: set[int] = set()
        for g in part.gates:
            assert gates[g].qubits <= part.qubits
            if part.product and len(gates[g].qubits) > 1:
                assert gates[g].permutes
                moved |= gates[g].qubits
            elif part.product and gates[g].qubits & moved:
                assert gates[g].permutes


gates_of_circuits = st.lists(
    st.builds(Gate, st.frozensets(st.integers(0, 6), min_size=1, max_size=5), st.booleans()), max_size=40
)


@given(gates_of_circuits, st.integers(1, 7))
def test_parts_of_random_circuits(gates: list[Gate], capacity: int) -> None:
    waiting, found = Waiting(range(len(gates)), gates), list[Part]()
    while waiting.left:
        found.append(waiting.part(capacity))
    check(found, gates, capacity)


@given(gates_of_circuits)
def test_groups_of_random_circuits(gates: list[Gate]) -> None:
    check(list(groups(range(len(gates)), gates)), gates, 3)


def ansatz(qubits: int, layers: int) -> list[Gate]:
    gates = []
    for _ in range(layers):
        gates += [Gate(frozenset({q})) for q in range(qubits) for _ in range(2)]
        gates += [Gate(frozenset({q, q + 1}), permutes=True) for q in range(qubits - 1)]
    return gates


def test_rotations_and_cnots_become_products_that_share_their_qubits() -> None:
    gates = ansatz(16, 4)
    found = list(groups(range(len(gates)), gates))
    assert all(part.product for part in found)
    assert len(found) <= 2 + 60 // 2  # two CNOTs each


def test_gates_that_are_no_permutations_become_dense() -> None:
    gates = [Gate(frozenset({i % 3, (i + 1) % 3})) for i in range(9)]
    (part,) = groups(range(9), gates)
    assert not part.product
    assert part.gates == list(range(9))


def test_what_stands_between_cnots_of_a_ladder_is_a_phase() -> None:
    cnot = [Gate(frozenset({q, q + 1}), permutes=True) for q in range(2)]
    gates = [Gate(frozenset({0})), *cnot, Gate(frozenset({2}), permutes=True), *reversed(cnot)]
    (part,) = groups(range(len(gates)), gates)
    assert part.product
    assert factors_of(part, gates) == {0}


def test_many_gates_on_three_qubits_are_one_matrix_rather_than_many_products() -> None:
    (part,) = groups(range(32), ansatz(3, 4))
    assert not part.product


@pytest.mark.parametrize("qubits", [5, 300])
def test_a_part_of_what_is_given_takes_what_fits(qubits: int) -> None:
    gates = ansatz(qubits, 2)
    waiting = Waiting(range(len(gates)), gates)
    part = waiting.part(4, given=[qubits - 1])
    assert part.qubits >= {qubits - 1}
    assert len(part.qubits) == 4


def test_what_is_given_back_is_taken_again() -> None:
    gates = ansatz(6, 3)
    waiting = Waiting(range(len(gates)), gates)
    first = waiting.part(3)
    waiting.give_back(first)
    assert waiting.left == len(gates)
    assert waiting.part(3) == first
