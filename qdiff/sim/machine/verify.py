"""What must be true of a lowered program; tests hold every plan against it.

The compiled machine checks nothing: an index out of range would read whatever lies there. So the whole of a
plan is checked here, table by table, and `InvalidPlan` says which row is wrong and why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from qdiff.lang.tree import OPERATORS
from qdiff.sim.machine import code as c
from qdiff.sim.machine.verify_expressions import check, verify_expressions
from qdiff.sim.pure import plan as p

ENUMERATED_QUBITS = 12
"""On registers up to this size all amplitudes that an op touches are listed."""
_ENDS = (c.STOP, c.MEASURE)  # where NEXT means nothing
_READING = (c.STEP, c.DECIDE, c.SET, c.LIVE_GATE, c.GATES, c.TOSS, c.CHANNEL)
_FORKS = (c.DECIDE, c.TOSS)
_DATA = {c.FIXED: (1, 0), c.INVOLUTION: (1, 0), c.SPECTRAL: (1, 1), c.DRIFTING: (0, 0)}
"""How many matrices and vectors of its size the data of a gate hold."""


def verify(plan: c.Lowered) -> None:
    """Check every invariant of a plan.

    Raises:
        InvalidPlan: one does not hold.
    """
    verify_expressions(plan)
    _gates(plan)
    _ops(plan)
    _instructions(plan)
    _flow(plan)
    _readout(plan)


# --- Instructions ---------------------------------------------------------------------------------


def _instructions(plan: c.Lowered) -> None:
    code = plan.code
    check(code.instructions.shape[1:] == (c.WIDTH,), f"instructions have {c.WIDTH} columns")
    check(len(plan.sources) == len(code.instructions), "every instruction has a source")
    used_ops: list[int] = []
    kraus: list[tuple[int, int]] = []
    for i, row in enumerate(code.instructions.tolist()):
        opcode = row[c.OP]
        check(0 <= opcode < len(c.OPCODES), f"instruction {i}: there is no operation {opcode}")
        where = f"instruction {i} ({c.OPCODES[opcode]})"
        least = 0 if opcode == c.EXPECT and row[c.A] > 0 else 1  # several of them are one step together
        check(row[c.COST] >= least, f"{where}: it counts {row[c.COST]} steps, at least {least}")
        _operands(plan, row, where)
        if opcode in (c.GATES, c.LIVE_GATE):
            used_ops += range(row[c.A], row[c.B])
        check(opcode not in _READING or i in plan.written, f"{where}: nothing says what it was written as")
        check((i in plan.channels) == (opcode == c.CHANNEL), f"{where}: its channel")
        if opcode == c.CHANNEL:
            kraus.append((row[c.C], row[c.C] + 4 * c.KRAUS))
    check(sorted(used_ops) == list(range(len(code.ops))), "every op belongs to one instruction")
    _apart(kraus, plan.kraus, "Kraus operators")


def _operands(plan: c.Lowered, row: Sequence[int], where: str) -> None:
    a, b, other = row[c.A], row[c.B], row[c.C]
    counters, expressions, n = len(plan.counters), len(plan.expressions), plan.qubits
    match row[c.OP]:
        case c.STEP:
            _within(a, counters, f"{where}: counter")
            _within(other, expressions, f"{where}: expression")
        case c.DECIDE:
            _within(a, expressions, f"{where}: left side")
            _within(b, expressions, f"{where}: right side")
            _within(other, len(OPERATORS), f"{where}: operator")
        case c.SET:
            _within(a, expressions, f"{where}: expression")
            _within(b, counters, f"{where}: counter")
        case c.STOP:
            _within(a, 2, f"{where}: whether it aborts")
        case c.CLEAR:
            check(a == n, f"{where}: it resets {a} of {n} qubits")
        case c.LIVE_GATE | c.GATES:
            live = row[c.OP] == c.LIVE_GATE
            check(0 <= a <= b <= len(plan.code.ops), f"{where}: its ops are {a} .. {b - 1}")
            check(not live or b == a + 1, f"{where}: it has {b - a} ops, not one")
            for op in range(a, b):
                check((plan.code.ops[op, c.LIVE] >= 0) == live, f"{where}: op {op} belongs to the other kind")
        case c.EXPECT:
            check(0 <= a <= b <= len(plan.operators), f"{where}: its operators are {a} .. {b - 1}")
        case c.TOSS:
            _within(a, expressions, f"{where}: probability")
        case c.MEASURE | c.RECORD | c.READ:
            _measured(plan, row, where)
        case c.RESET:
            _within(a, n, f"{where}: qubit")
        case c.CHANNEL:
            _within(a, expressions, f"{where}: probability")
            _within(b, n, f"{where}: qubit")


def _measured(plan: c.Lowered, row: Sequence[int], where: str) -> None:
    start, number, other = row[c.A], row[c.B], row[c.C]
    check(0 <= start <= start + number <= len(plan.code.qubits), f"{where}: its qubits are out of range")
    qubits = plan.code.qubits[start : start + number].tolist()
    for qubit in qubits:
        _within(qubit, plan.qubits, f"{where}: qubit")
    check(0 < number == len(set(qubits)), f"{where}: it measures qubits {qubits}, each once")
    check(1 << number <= plan.outcomes, f"{where}: {1 << number} outcomes in room for {plan.outcomes}")
    if row[c.OP] == c.RECORD:
        _within(other, len(plan.counters), f"{where}: counter")
    if row[c.OP] == c.MEASURE:
        check(0 <= other <= len(plan.code.targets) - (1 << number), f"{where}: its targets are out of range")


def successors(plan: c.Lowered, i: int) -> list[int]:
    """Where an instruction may go on."""
    row = plan.code.instructions[i].tolist()
    if row[c.OP] == c.MEASURE:
        return [int(t) for t in plan.code.targets[row[c.C] : row[c.C] + (1 << row[c.B])]]
    if row[c.OP] in _FORKS:
        return [row[c.NEXT], row[c.ELSE]]
    return [] if row[c.OP] in _ENDS else [row[c.NEXT]]


def _flow(plan: c.Lowered) -> None:
    """Every jump leads to an instruction, and every instruction is reached; only a stop leads nowhere."""
    number = len(plan.code.instructions)
    _within(plan.entry, number, "the entry")
    reached, pending = {plan.entry}, [plan.entry]
    while pending:
        i = pending.pop()
        for following in successors(plan, i):
            _within(
                following, number, f"instruction {i} ({c.OPCODES[plan.code.instructions[i, c.OP]]}): jump"
            )
            if following not in reached:
                reached.add(following)
                pending.append(following)
    for lost in set(range(number)) - reached:
        check(False, f"instruction {lost}: nothing leads there")


# --- Gates and ops --------------------------------------------------------------------------------


def _gates(plan: c.Lowered) -> None:
    code, stretches = plan.code, []
    check(len(code.gates) == len(plan.gates), "every gate has a row")
    for i, (how, expression, size, start, place) in enumerate(code.gates.tolist()):
        where = f"gate {i}"
        _within(how, len(_DATA), f"{where}: how it is made")
        _within(expression + 1, len(plan.expressions) + 1, f"{where}: expression")
        check(expression == plan.gates[i].expression, f"{where}: its angle is not that of the gate")
        check((expression < 0) == (how == c.FIXED), f"{where}: it is fixed and has an angle, or neither")
        check(size == 1 << plan.gates[i].record.targets, f"{where}: its matrix has {size} rows")
        matrices, vectors = _DATA[how]
        end = start + matrices * size**2 + vectors * size
        check(0 <= start <= end <= len(code.data), f"{where}: its data are out of range")
        stretches.append((place, place + size**2))
    _apart(stretches, plan.gate_matrices, "gate matrices")


def _ops(plan: c.Lowered) -> None:
    code, n, stretches = plan.code, plan.qubits, []
    check(code.ops.shape[1:] == (c.OP_WIDTH,), f"ops have {c.OP_WIDTH} columns")
    starts = code.member_starts.tolist()
    check(len(starts) == len(code.ops) + 1 and starts[0] == 0, "the members of every op begin somewhere")
    check(starts[-1] == len(code.members), "every member belongs to an op")
    for i, row in enumerate(code.ops.tolist()):
        where, members = f"op {i}", code.members[starts[i] : starts[i + 1]].tolist()
        check(len(members) >= 1, f"{where}: it is made of no gate")
        rows = _rows_of_op(plan, row, where)
        check(
            row[c.NUMBERS] == (rows if row[p.KIND] == c.MONOMIAL else rows**2), f"{where}: size of its matrix"
        )
        stretches.append((row[c.MATRIX], row[c.MATRIX] + row[c.NUMBERS]))
        for member in members:
            _within(member[c.GATE], len(plan.gates), f"{where}: gate")
        gate = plan.gates[members[0][c.GATE]]
        if row[c.LIVE] >= 0:
            check(
                [row[c.LIVE]] == [member[c.GATE] for member in members],
                f"{where}: its live gate is not its gate",
            )
            angle = plan.expressions[gate.expression] if gate.expression >= 0 else None
            check(angle is not None and bool(angle.counters()), f"{where}: its live gate reads no counter")
        if len(members) == 1 and row[p.KIND] not in (c.DENSE, c.MONOMIAL):
            touched = 1 << n - gate.controls.bit_count()
            check(
                row[p.OUTER] * row[p.COUNT] * rows == touched, f"{where}: it touches not {touched} amplitudes"
            )
            continue
        for member in members:
            size = _rows(plan, member, rows.bit_length() - 1, f"{where}, gate {member[c.GATE]}")
            check(
                size == 1 << plan.gates[member[c.GATE]].record.targets,
                f"{where}: size of gate {member[c.GATE]}",
            )
    _apart(stretches, plan.matrices, "matrices")


def _rows_of_op(plan: c.Lowered, row: Sequence[int], where: str) -> int:
    """Check where an op acts; return the rows of its matrix."""
    size = 1 << plan.qubits
    match row[p.KIND]:
        case c.DENSE:
            return size
        case c.MONOMIAL:
            source = plan.code.perms[row[p.FIRST] : row[p.FIRST] + size]
            check(row[p.FIRST] >= 0, f"{where}: its permutation is out of range")
            check(sorted(source.tolist()) == list(range(size)), f"{where}: it is no permutation")
            return size
        case _:
            return _rows(plan, row, plan.qubits, where)


def _rows(plan: c.Lowered, row: Sequence[int], qubits: int, where: str) -> int:
    """Check that a loop stays on a register and touches each amplitude once; return how many together."""
    code, kind = plan.code, row[p.KIND]
    check(kind in (p.GENERAL, p.MANY, c.LISTED, c.LISTED_MANY), f"{where}: there is no kind {kind}")
    listed, many = kind in (c.LISTED, c.LISTED_MANY), kind in (p.MANY, c.LISTED_MANY)
    places = np.array([0, row[p.FIRST]])
    if many:
        first, number = row[p.FIRST], row[p.SECOND]
        check(0 <= first < first + number <= len(code.places), f"{where}: its places are out of range")
        places = code.places[first : first + number]
    outer = np.arange(row[p.OUTER])
    if listed:
        start, end = row[p.FIELDS], row[p.FIELDS] + row[p.OUTER]
        check(0 <= start < end <= len(code.perms), f"{where}: its list is out of range")
        bases = code.perms[start:end]
    else:
        check(
            0 <= row[p.FIELDS] <= row[p.FIELDS_END] <= len(code.low), f"{where}: its fields are out of range"
        )
        if qubits > ENUMERATED_QUBITS:
            return len(places)
        bases = outer
        for f in range(row[p.FIELDS], row[p.FIELDS_END]):
            bases = ((bases & ~code.low[f]) << code.width[f]) | (bases & code.low[f])
        bases = bases | row[p.CONTROLS]
    runs = np.arange(row[p.COUNT]) * row[p.STRIDE]
    touched = (bases[:, None, None] + runs[:, None] + places).ravel()
    check(len(np.unique(touched)) == len(touched), f"{where}: it touches an amplitude twice")
    check(0 <= touched.min() <= touched.max() < 1 << qubits, f"{where}: it leaves its {qubits} qubits")
    return len(places)


# --- Read-out, and what is shared -----------------------------------------------------------------


def _readout(plan: c.Lowered) -> None:
    masks = plan.code.masks
    check(masks.shape == (len(plan.operators), 4), "every operator of the read-out has its masks")
    check(len(plan.code.phases) == len(masks), "every operator of the read-out has a phase")
    rows = plan.code.instructions[plan.code.instructions[:, c.OP] == c.EXPECT]
    taken = sorted(k for a, b in rows[:, [c.A, c.B]].tolist() for k in range(a, b))
    check(not len(rows) or taken == list(range(len(masks))), "every operator is taken by one instruction")
    for k, row in enumerate(masks.tolist()):
        for mask in row:
            _within(mask, 1 << plan.qubits, f"operator {k}: mask")
        check(row[3] & ~row[2] == 0, f"operator {k}: it asks for ones where it keeps nothing")


def _within(value: int, number: int, what: str) -> None:
    check(0 <= value < number, f"{what} {value} is outside 0 .. {number - 1}")


def _apart(stretches: Iterable[tuple[int, int]], size: int, what: str) -> None:
    """Check that stretches of a table lie side by side and fill it."""
    ends = [(0, 0), *sorted(stretches), (size, size)]
    for (_, end), (start, _) in pairwise(ends):
        check(
            start == end,
            f"{what}: numbers {min(start, end)} .. {max(start, end) - 1} belong to none, or to two",
        )
