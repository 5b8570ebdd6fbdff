"""A program as tables of numbers: what the compiled machine runs, whatever the parameters are.

An *instruction* is a row of `Code.instructions`:

    OP         A               B            C               NEXT        ELSE
    STEP       counter         constant     expression      after       –
    DECIDE     left            right        operator        if true     if false
    SET        expression      counter      –               after       –
    STOP       1 if aborted    –            –               –           –
    CLEAR      n               –            –               after       –
    LIVE_GATE  op              op + 1       –               after       –
    GATES      first op        end of ops   –               after       –
    EXPECT     first operator  their end    –               after       –
    TOSS       expression      –            –               if true     if false
    MEASURE    first qubit     number       first target    –           –
    RECORD     first qubit     number       counter         after       –
    RESET      qubit           –            –               after       –
    CHANNEL    expression      qubit        first Kraus     after       –
    READ       first qubit     number       –               after       –

STEP adds a constant to a counter; CLEAR resets all n qubits; EXPECT and READ are the read-out. Measured
qubits are a stretch of `Code.qubits`, the targets of a measurement a stretch of `Code.targets`, one for each
outcome. What stands from TOSS on draws a random number. COST is how many steps an instruction counts: the
gates it stands for, at least one; on large registers several EXPECT are one step together.

An *op* is a row of `Code.ops`: where a gate, or a block of fused gates, acts (the columns of `pure.plan`),
where its matrix begins in the table of matrices and how many NUMBERS it has there, and the gate whose angle
is read while the program runs, or -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.channels import ChannelRecord
from qdiff.lang.expr import Expr
from qdiff.lang.pauli_algebra import Operators
from qdiff.lang.tree import Program
from qdiff.sim.flow import Instruction, SmallGate
from qdiff.sim.protocol import Readout

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

(
    STEP,
    DECIDE,
    SET,
    STOP,
    CLEAR,
    LIVE_GATE,
    GATES,
    EXPECT,
    TOSS,
    MEASURE,
    RECORD,
    RESET,
    CHANNEL,
    READ,
) = range(14)
OPCODES = [
    "step",
    "decide",
    "set",
    "stop",
    "clear",
    "live_gate",
    "gates",
    "expect",
    "toss",
    "measure",
    "record",
    "reset",
    "channel",
    "read",
]
FIRST_RANDOM = TOSS
OP, A, B, C, NEXT, ELSE, COST = range(7)
WIDTH = 7

DENSE, MONOMIAL, LISTED, LISTED_MANY = range(10, 14)
"""Kinds of ops besides GENERAL and MANY of `pure.plan`: a matrix on the whole register; a permutation with
phases; and on small registers one target, or more, with a list of the places where all targets are 0, from
FIELDS on in `Code.perms`."""
MATRIX, NUMBERS, LIVE = 9, 10, 11
OP_WIDTH = 12
GATE = 9
MEMBER_WIDTH = 10
"""A member of an op: where a gate acts within the block, and the gate."""

FIXED, INVOLUTION, SPECTRAL, DRIFTING = range(4)
"""How the matrix of a gate follows from its angle a: it does not; cos(a/2) - i sin(a/2) G; V exp(-iaλ/2) V†;
exp(-i (a A + B))."""
HOW, EXPRESSION, SIZE, DATA, PLACE = range(5)

BOUND, COMPUTED = -1, -2
"""How an expression gets its value: with the parameters, or each time; a counter alone is known by its index
instead.
"""

KRAUS = 4
"""Room for the Kraus operators of a channel."""


class Code(NamedTuple):
    """The tables; see the head of this module and `bytecode.Bytecode`.

    Attributes:
        low, width, places: where ops act. perms: permutations of basis states, lists of places.
        members: (…, 10) the gates that an op is made of, see GATE;
            those of op m from member_starts[m] to member_starts[m + 1].
        gates: (G, 5) HOW, EXPRESSION, SIZE, where its DATA begin, its PLACE in the table of gate matrices.
        starts, rows, floats, modes, whole, hazards: the expressions.
        masks: (K, 4) flips, signs, kept, ones of the products of operators in the read-out; phases: (K,).
    """

    instructions: Ints
    targets: Ints
    qubits: Ints
    ops: Ints
    low: Ints
    width: Ints
    places: Ints
    perms: Ints
    members: Ints
    member_starts: Ints
    gates: Ints
    data: Complexes
    starts: Ints
    rows: Ints
    floats: Floats
    modes: Ints
    whole: NDArray[np.bool_]
    hazards: Floats
    masks: Ints
    phases: Complexes


@dataclass(frozen=True, eq=False)
class Lowered:
    """A lowered program with its read-out.

    Attributes:
        code: the tables.
        qubits: n; a state has 2ⁿ amplitudes.
        counters: names of the entries of a store: the program's, then hidden ones.
        expressions, gates, operators: what the tables number; channels: the record by instruction.
        sources: for each instruction what it was made from; written: the expressions that it reads, by
            instruction, as they stand in the text (the tables keep one of several that are equal).
        matrices, gate_matrices, kraus: how many numbers their tables hold.
        longest: rows of the longest expression.
        outcomes: of the measurement that has the most.
    """

    program: Program
    readout: Readout
    code: Code
    entry: int
    qubits: int
    counters: tuple[str, ...]
    expressions: Sequence[Expr]
    gates: Sequence[SmallGate]
    channels: dict[int, ChannelRecord]
    operators: Sequence[Operators]
    sources: Sequence[Instruction | None]
    written: dict[int, tuple[Expr, ...]]
    matrices: int
    gate_matrices: int
    kraus: int
    longest: int
    outcomes: int

    def gates_of(self, op: int) -> list[int]:
        """The gates that an op is made of, the first applied first."""
        start, end = self.code.member_starts[op : op + 2]
        return [int(g) for g in self.code.members[start:end, GATE]]
