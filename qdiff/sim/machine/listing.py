"""A lowered program as a text for people, and as data for programs: the format "plan".

Each instruction has a line with its number, what it does in the names of the program, and where the run goes
on if not to the next. Below a run of gates stands a line for each pass over the amplitudes, with the gates
that it fuses; parameters stay where they stood, and the lines at the end say where each of them stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qdiff.lang.expr import Expr, number
from qdiff.lang.formats import writers
from qdiff.lang.printer import gate_text, measurement_text
from qdiff.lang.tree import OPERATORS, Gate, Program
from qdiff.sim.machine import code as c
from qdiff.sim.machine.verify import successors
from qdiff.sim.protocol import Readout
from qdiff.sim.pure import plan as p
from qdiff.sim.sizes import size_text

KINDS = {
    c.DENSE: "whole register",
    c.MONOMIAL: "permutation",
    p.GENERAL: "one qubit",
    p.MANY: "block",
    c.LISTED: "one qubit",
    c.LISTED_MANY: "block",
}
"""How a pass goes over the amplitudes."""
BYTES_PER_NUMBER = 16
PLAN = "plan"
"""The name of the format."""


@dataclass(frozen=True)
class Pass:
    """One pass over the amplitudes.

    Attributes:
        kind: see `KINDS`. gates: what it fuses, the first applied first. numbers: the size of its matrix.
        live: whether its matrix is made while the program runs, since an angle reads counters.
    """

    kind: str
    gates: tuple[str, ...]
    numbers: int
    live: bool


@dataclass(frozen=True)
class Line:
    """One instruction.

    Attributes:
        operation: its name. text: what it does. next: the instructions that may follow, by outcome.
        steps: how many it counts. expressions: angles, probabilities, sides that it reads.
    """

    number: int
    operation: str
    text: str
    next: tuple[int, ...]
    steps: int
    expressions: tuple[str, ...]
    passes: tuple[Pass, ...] = ()


@dataclass(frozen=True)
class Listing:
    """A lowered program.

    Attributes:
        sites: for each parameter the instructions where it stands.
        totals: qubits, bytes of a state, instructions, gates, passes, numbers in matrices.
    """

    qubits: tuple[str, ...]
    parameters: tuple[str, ...]
    counters: tuple[str, ...]
    entry: int
    lines: tuple[Line, ...]
    sites: Mapping[str, tuple[int, ...]]
    totals: Mapping[str, int]

    def __str__(self) -> str:
        return "\n".join([*self._head(), "", *self._body(), "", *self._foot()]) + "\n"

    @property
    def data(self) -> dict[str, Any]:
        """The same as strings, numbers, lists and mappings."""
        return asdict(self)

    def _head(self) -> Iterator[str]:
        for kind, names in (
            ("qubits", self.qubits),
            ("parameters", self.parameters),
            ("counters", self.counters),
        ):
            yield f"{kind:<10}  {', '.join(names) or 'none'}"

    def _body(self) -> Iterator[str]:
        width, named = len(str(len(self.lines))), max(len(line.operation) for line in self.lines)
        texts = min(max(len(line.text) for line in self.lines), 40)
        for line in self.lines:
            row = f"{line.number:>{width}}  {line.operation:<{named}}  {line.text:<{texts}}"
            yield f"{row}  {_goes(line)}".rstrip()
            for one in line.passes:
                live = ", its matrix made when it is met" if one.live else ""
                yield f"{'':{width}}    {one.kind}{live}: {'; '.join(one.gates)}"

    def _foot(self) -> Iterator[str]:
        for name, where in self.sites.items():
            yield f"{name} stands in {', '.join(map(str, where)) or 'nothing that is reached'}"
        t = self.totals
        yield f"instructions  {t['instructions']}, and {t['steps']} steps where each is met once"
        yield f"gates         {t['gates']}, fused passes {t['passes']}"
        yield f"matrices      {size_text(BYTES_PER_NUMBER * t['matrix_numbers'])}"
        yield f"state         {size_text(t['state_bytes'])}"


def listing(plan: c.Lowered) -> Listing:
    """Return the listing of a plan."""
    lines = tuple(_line(plan, i) for i in range(len(plan.code.instructions)))
    sites: dict[str, list[int]] = {name: [] for name in plan.program.parameters}
    for i in range(len(lines)):
        for name in frozenset().union(*(plan.expressions[e].parameters() for e in _read(plan, i))):
            sites[name].append(i)
    passes = [one for line in lines for one in line.passes]
    return Listing(
        qubits=plan.program.qubits,
        parameters=plan.program.parameters,
        counters=plan.counters,
        entry=plan.entry,
        lines=lines,
        sites={name: tuple(where) for name, where in sites.items()},
        totals={
            "qubits": plan.qubits,
            "state_bytes": BYTES_PER_NUMBER << plan.qubits,
            "instructions": len(lines),
            "steps": sum(line.steps for line in lines),
            "gates": sum(len(one.gates) for one in passes),
            "passes": len(passes),
            "matrix_numbers": sum(one.numbers for one in passes),
        },
    )


def program_listing(program: Program) -> Listing:
    """Return the listing of a program whose qubits are all measured at the end."""
    from qdiff.sim.machine.lowering import lower

    return listing(lower(program, Readout(program.qubits)))


def _plan_text(program: Program) -> str:
    return str(program_listing(program))


writers.register(PLAN, _plan_text)


def _goes(line: Line) -> str:
    if len(line.next) < 2:
        return f"→ {line.next[0]}" if line.next and line.next[0] != line.number + 1 else ""
    if line.operation in ("decide", "toss"):
        return f"→ {line.next[0]}, else {line.next[1]}"
    return "→ " + ", ".join(f"{outcome}: {following}" for outcome, following in enumerate(line.next))


def _line(plan: c.Lowered, i: int) -> Line:
    row = plan.code.instructions[i].tolist()
    return Line(
        number=i,
        operation=c.OPCODES[row[c.OP]].replace("_", " "),
        text=_text(plan, i, row),
        next=tuple(successors(plan, i)),
        steps=row[c.COST],
        expressions=tuple(str(plan.expressions[e]) for e in _read(plan, i)),
        passes=tuple(_pass(plan, op) for op in _ops(row)),
    )


def _text(plan: c.Lowered, i: int, row: Sequence[int]) -> str:
    a, b, other = row[c.A], row[c.B], row[c.C]
    counters, expressions = plan.counters, plan.expressions

    def measured() -> str:
        return measurement_text(plan.program.qubits[q] for q in plan.code.qubits[a : a + b])

    match row[c.OP]:
        case c.STEP:
            return f"{counters[a]} := {expressions[other]}"
        case c.DECIDE:
            return f"{expressions[a]} {OPERATORS[other]} {expressions[b]}"
        case c.SET:
            return f"{counters[b]} := {expressions[a]}"
        case c.STOP:
            return "aborted" if a else "ended"
        case c.CLEAR:
            return "all qubits := |0>"
        case c.EXPECT:
            observables = len(plan.readout.expectations)
            which = f"{a} … {b - 1} of " if b - a < len(plan.operators) else ""
            return f"expectations of {observables} observables, operators {which}{len(plan.operators)}"
        case c.TOSS:
            return f"flip({expressions[a]})"
        case c.MEASURE | c.READ:
            return measured()
        case c.RECORD:
            return f"{counters[other]} := {measured()}"
        case c.RESET:
            return f"{plan.program.qubits[a]} := |0>"
        case c.CHANNEL:
            return f"{plan.channels[i].name}({expressions[a]})[{plan.program.qubits[b]}]"
        case _:
            return "" if b > a else "nothing"


def _ops(row: Sequence[int]) -> range:
    return range(row[c.A], row[c.B]) if row[c.OP] in (c.GATES, c.LIVE_GATE) else range(0)


def _pass(plan: c.Lowered, op: int) -> Pass:
    row = plan.code.ops[op]
    gates = tuple(_gate(plan, g) for g in plan.gates_of(op))
    return Pass(KINDS[int(row[p.KIND])], gates, int(row[c.NUMBERS]), bool(row[c.LIVE] >= 0))


def _gate(plan: c.Lowered, g: int) -> str:
    gate, qubits = plan.gates[g], plan.program.qubits
    angles: tuple[Expr, ...] = ()
    if gate.expression >= 0:
        angles = (plan.expressions[gate.expression],)
    elif gate.angle is not None:
        angles = (number(gate.angle),)
    controls = tuple(name for q, name in enumerate(qubits) if gate.controls >> q & 1)
    return gate_text(Gate(gate.record.name, angles, controls, tuple(qubits[q] for q in gate.targets)))


def _read(plan: c.Lowered, i: int) -> list[int]:
    """The expressions that an instruction reads, each once."""
    row = plan.code.instructions[i].tolist()
    match row[c.OP]:
        case c.STEP:
            return [row[c.C]]
        case c.DECIDE:
            return list(dict.fromkeys((row[c.A], row[c.B])))
        case c.SET | c.TOSS | c.CHANNEL:
            return [row[c.A]]
        case _:
            angles = (plan.gates[g].expression for op in _ops(row) for g in plan.gates_of(op))
            return list(dict.fromkeys(e for e in angles if e >= 0))
