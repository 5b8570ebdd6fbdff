"""Layouts of large states: every step finds its qubits where the exchanges before it have put them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim.static.checks import check_order

from qdiff.sim.static.layout import Exchange, Group, Layout, Wide, _first_places, laid_out
from qdiff.sim.static.schedule import Gate


def check(layout: Layout, gates: Sequence[Gate], qubits: int, lane_bits: int, block_bits: int) -> None:
    """Follow the qubits through all steps."""
    at = _first_places(gates, qubits, layout.bits)
    assert sorted(at.values()) == list(range(layout.bits))
    order: list[int] = []
    for sweep in layout.sweeps:
        assert list(sweep.bits) == sorted(set(sweep.bits))
        assert sweep.bits[:lane_bits] == tuple(range(lane_bits))
        assert len(sweep.bits) <= max(
            block_bits, *(len(gates[g].qubits) + lane_bits for g in range(len(gates)))
        )
        local = [at[bit] for bit in sweep.bits]
        for step in sweep.steps:
            match step:
                case Exchange(lane, other):
                    assert lane < lane_bits <= other
                    local[lane], local[other] = local[other], local[lane]
                case Group(part, bits, position):
                    assert lane_bits <= bits[0] < bits[1] < bits[2] < len(local)
                    assert position.keys() == part.qubits
                    assert all(local[bits[i]] == q for q, i in position.items())
                    order += part.gates
                case Wide(gate, place):
                    assert place.keys() == gates[gate].qubits
                    assert all(local[j] == q for q, j in place.items())
                    order.append(gate)
        at.update(zip(sweep.bits, local, strict=True))
    check_order(order, gates)
    assert all(at[bit] == q for q, bit in enumerate(layout.places))


QUBITS = 9
circuits = st.lists(
    st.builds(Gate, st.frozensets(st.integers(0, QUBITS - 1), min_size=1, max_size=4), st.booleans()),
    min_size=1,
    max_size=40,
)


@given(circuits, st.sampled_from([3, 4]), st.integers(7, 10))
def test_random_circuits(gates: list[Gate], lane_bits: int, block_bits: int) -> None:
    check(laid_out(gates, QUBITS, lane_bits, block_bits), gates, QUBITS, lane_bits, block_bits)


def test_a_wrong_place_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = [Gate(frozenset({q, q + 1}), True) for q in range(QUBITS - 1)]
    layout = laid_out(gates, QUBITS, 3)
    wrong = Layout(layout.bits, tuple(reversed(layout.places)), layout.sweeps)
    with pytest.raises(AssertionError):
        check(wrong, gates, QUBITS, 3, 14)


@pytest.mark.parametrize("qubits", [1, 2, 5])
def test_small_registers_have_idle_bits(qubits: int) -> None:
    layout = laid_out([Gate(frozenset({0}))], qubits, 3)
    assert layout.bits == 6
    assert len(layout.places) == qubits


def test_a_state_that_fits_into_a_block_is_one_sweep() -> None:
    gates = [Gate(frozenset({q})) for q in range(8)]
    assert len(laid_out(gates, 8, 3, block_bits=8).sweeps) == 1
    assert len(laid_out(gates, 8, 3, block_bits=7).sweeps) > 1


def test_no_gates() -> None:
    layout = laid_out([], 8, 3)
    assert layout.places == tuple(reversed(range(8)))
    assert layout.sweeps == ()
