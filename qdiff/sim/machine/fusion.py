"""Fusion: a sequence of gates becomes fewer passes over the amplitudes.

A *block* is one pass:

    whole       the register has at most 3 qubits, and the gates are many: one matrix for the whole sequence
    monomial    neighbouring gates that only permute basis states and turn phases: one permutation with phases
    small       gates on the same one or two qubits, however many lie between on other qubits: one matrix

A gate joins the last block that acts on its qubits if the block may grow; gates on different qubits commute.
A gate alone stays what it is, with the loop that its record calls for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qdiff.sim.flow import SmallGate

WHOLE_QUBITS = 3
ENTRIES_PER_GATE = 16
"""So many entries of a matrix on the whole register cost about as much as a gate."""
SMALL_QUBITS = 2
LISTED_QUBITS = 10
"""On larger registers a table of places costs more than the few gates that it stands for."""
SAMPLE = 0.7123  # an angle at which no entry of a rotation vanishes by chance


@dataclass
class Block:
    """Gates that act in one pass; `qubits` are those that any of them touches."""

    gates: list[int]
    qubits: frozenset[int]
    monomial: bool
    whole: bool = field(default=False)


def fuse(sequence: Sequence[int], gates: Sequence[SmallGate], qubits: int) -> list[Block]:
    """Return the blocks of a sequence of gates, given by index, the first applied first."""
    sequence = [g for g in sequence if gates[g].record.name != "I"]
    if qubits <= WHOLE_QUBITS and len(sequence) > 1 and ENTRIES_PER_GATE * len(sequence) >= 4**qubits:
        return [Block(list(sequence), frozenset(range(qubits)), False, whole=True)]
    blocks: list[Block] = []
    for g in sequence:
        touched, monomial = touches(gates[g]), is_monomial(gates[g])
        block = _last_on(touched, blocks)
        if block is not None and _may_join(touched, monomial, block, qubits):
            block.gates.append(g)
            block.qubits |= touched
            block.monomial &= monomial
        else:
            blocks.append(Block([g], touched, monomial))
    return blocks


def _last_on(touched: frozenset[int], blocks: Sequence[Block]) -> Block | None:
    return next((block for block in reversed(blocks) if block.qubits & touched), None)


def _may_join(touched: frozenset[int], monomial: bool, block: Block, qubits: int) -> bool:
    if len(block.qubits | touched) <= SMALL_QUBITS:
        return True
    # A monomial block may hold any qubits. It takes in a gate at the place of its last one: nothing behind
    # it acts on the gate's qubits.
    return monomial and block.monomial and qubits <= LISTED_QUBITS


def touches(gate: SmallGate) -> frozenset[int]:
    """The qubits that a gate acts on, controls included."""
    controls = (q for q in range(gate.controls.bit_length()) if gate.controls >> q & 1)
    return frozenset([*gate.targets, *controls])


def is_monomial(gate: SmallGate) -> bool:
    """Whether a gate takes every basis state to one basis state, whatever its angle is."""
    return all(np.count_nonzero(row) == 1 for row in pattern(gate))


def pattern(gate: SmallGate) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Where the matrix of a gate has entries at a generic angle, (2ⁿ, 2ⁿ) on its targets."""
    record = gate.record
    matrix = record.matrix(SAMPLE) if gate.expression >= 0 or gate.angle is not None else record.matrix()
    return np.abs(matrix) > 1e-14
