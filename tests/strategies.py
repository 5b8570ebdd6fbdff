"""Random programs, observables and parameter values for Hypothesis.

Programs are small trees (1-3 qubits) in the normal form that the parser yields, so `str` gives their
text. Unbounded loops end by construction: a pass goes round again with probability below about 0.7
(a freshly prepared guard qubit, a coin) or counts towards a limit that nothing else in it changes.

Names tell what a value may be: `p` is a probability, `n` is compared, `t`, `u`, `w` are angles.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from random_declarations import declarations
from random_parts import (
    CHANNELS,
    Budget,
    Scope,
    angles,
    assignments,
    channels,
    conditions,
    gates,
    probabilities,
    some,
)

from qdiff.lang import expr as ex
from qdiff.lang import tree as qt
from qdiff.lang.expr import Number, add, divide, multiply
from qdiff.lang.observable import Observable, Term

QUBITS = (("q",), ("q", "r"), ("d[2]",), ("q", "r", "s"), ("q", "d[2]"))
PARAMETERS = (("t",), ("t", "u"), ("t", "p"), ("w[2]",), ("t", "n"), ("t", "w[3]"), ("p", "w[2]", "n"))
COUNTERS = ((), ("c",), ("c",), ("c", "k"), ("m[2]",))

# --- Statements ---------------------------------------------------------------------------------


@st.composite
def statements(draw: DrawFn, scope: Scope) -> list[qt.Statement]:
    """One statement, or a few that belong together."""
    kinds = ["skip"]
    if scope.qubits:
        kinds = ["gate", "gate", "gate", "gate", "reset", *kinds]
        if scope.channels:
            kinds.append("channel")
    if scope.writable:
        kinds += ["assign", "assign"]
        if scope.qubits:
            kinds.append("measure")
    if scope.depth < 3:
        kinds += ["if", "if", "abort"]
        if scope.qubits:
            kinds.append("case")
        if scope.budget.loops > 0:
            kinds += ["bounded"] + (["while"] * 4 if scope.unbounded and scope.loops < 2 else [])
    inner = replace(scope, depth=scope.depth + 1)
    match draw(st.sampled_from(kinds)):
        case "skip":
            return [qt.Skip()]
        case "gate":
            return [draw(gates(scope))]
        case "reset":
            return [qt.Reset(draw(st.sampled_from(scope.qubits)))]
        case "channel":
            return [draw(channels(scope))]
        case "assign":
            return [draw(assignments(scope))]
        case "measure":
            return [qt.Measure(draw(st.sampled_from(scope.writable)), draw(some(scope.qubits, 2)))]
        case "if":
            return [qt.If(draw(conditions(scope)), draw(blocks(inner)), draw(_otherwise(inner)))]
        case "abort":
            return [qt.If(draw(conditions(scope)), (qt.Abort(),), draw(_otherwise(inner)))]
        case "case":
            return [draw(_cases_of(scope))]
        case "bounded":
            scope.budget.loops -= 1
            return [qt.While(draw(conditions(scope)), draw(blocks(inner)), draw(st.integers(1, 4)))]
        case _:
            scope.budget.loops -= 1
            return draw(loops(replace(inner, loops=scope.loops + 1)))


@st.composite
def blocks(draw: DrawFn, scope: Scope) -> qt.Block:
    """One statement or more."""
    parts = draw(st.lists(statements(scope), min_size=1, max_size=max(1, 4 - scope.depth)))
    return tuple(statement for part in parts for statement in part)


def _otherwise(scope: Scope) -> SearchStrategy[qt.Block]:
    """An else branch, or none; `else skip` is none."""
    return (st.just(()) | blocks(scope)).map(lambda block: () if block == (qt.Skip(),) else block)


@st.composite
def _cases_of(draw: DrawFn, scope: Scope) -> qt.Case:
    inner = replace(scope, depth=scope.depth + 1)
    qubits = draw(some(scope.qubits, 2))
    outcomes = draw(st.lists(st.integers(0, 2 ** len(qubits) - 1), min_size=1, max_size=3, unique=True))
    arms = tuple((outcome, draw(blocks(inner))) for outcome in outcomes)
    # Where every outcome has its arm, `else` would be unreachable.
    return qt.Case(qubits, arms, () if len(arms) == 2 ** len(qubits) else draw(_otherwise(inner)))


# --- Unbounded loops ----------------------------------------------------------------------------


@st.composite
def loops(draw: DrawFn, scope: Scope) -> list[qt.Statement]:
    """An unbounded loop that ends almost surely, and soon."""
    kinds = ["coin", *(["prepared", "prepared", "turned"] if scope.qubits else [])]
    if scope.writable:
        kinds.append("counted")
    match draw(st.sampled_from(kinds)):
        case "prepared":  # the guard qubit is made anew at the end of each pass
            guard = draw(st.sampled_from(scope.qubits))
            again, prepared = draw(st.tuples(st.integers(0, 1), _preparations(scope, guard)))
            flipped = (qt.Gate("X", (), (), (guard,)),) if again == 0 else ()
            condition: qt.Condition = qt.Measured((guard,), again)
            body = draw(blocks(scope)) + prepared + flipped
            if draw(st.booleans()):
                condition = draw(_narrowed(scope, condition))
        case "turned":  # the guard qubit is turned and then left alone, but it may control others
            guard = draw(st.sampled_from(scope.qubits))
            others = tuple(q for q in scope.qubits if q != guard)
            sine = ex.Call("sin", draw(angles(scope, 1)))
            angle = add(divide(ex.Pi(), Number(2)), multiply(Number(0.3), sine))
            entangled = tuple(qt.Gate("Ry", (draw(angles(scope, 1)),), (guard,), (q,)) for q in others[:1])
            condition = qt.Measured((guard,), 1)
            body = (
                qt.Gate("Ry", (angle,), (), (guard,)),
                *entangled,
                *draw(blocks(replace(scope, qubits=others))),
            )
        case "counted":  # the body cannot change what is counted
            counter = draw(st.sampled_from(scope.writable))
            left, most = ex.Counter(counter), Number(draw(st.integers(1, 3)))
            condition = qt.Compare(left, "<", most)
            if draw(st.booleans()):
                condition = qt.Not(qt.Compare(left, ">=", most))
            untouched = tuple(c for c in scope.writable if c != counter)
            step = qt.Assign(counter, add(left, ex.ONE))
            body = (*draw(blocks(replace(scope, writable=untouched))), step)
        case _:
            condition = qt.Not(qt.Flip(draw(probabilities(scope))))
            body = draw(blocks(scope))
            if draw(st.booleans()):
                condition = draw(_narrowed(scope, condition))
    if scope.loops == 1 and scope.growing and draw(st.integers(0, 3)):
        body = (qt.Assign(scope.growing[0], add(ex.Counter(scope.growing[0]), ex.ONE)), *body)
    return [qt.While(condition, body)]


@st.composite
def _preparations(draw: DrawFn, scope: Scope, guard: str) -> qt.Block:
    """Statements after which the guard qubit is 1 with a probability below 0.7."""
    if draw(st.booleans()):
        return (qt.Reset(guard), qt.Gate("H", (), (), (guard,)))
    turns = [ex.Parameter(name) for name in scope.angles] + [Number(0.8), divide(ex.Pi(), Number(2))]
    angle = draw(st.sampled_from(turns))  # parameters stay below 2 in magnitude: sin² 1 = 0.71
    return (qt.Reset(guard), qt.Gate(draw(st.sampled_from(["Ry", "Rx"])), (angle,), (), (guard,)))


@st.composite
def _narrowed(draw: DrawFn, scope: Scope, condition: qt.Condition) -> qt.Condition:
    """The condition and another one."""
    other = draw(conditions(scope, 0))
    return qt.And(draw(st.sampled_from([(condition, other), (other, condition)])))


# --- Programs, observables, parameters ----------------------------------------------------------


def _registers(names: tuple[str, ...]) -> tuple[qt.Register, ...]:
    return tuple(
        qt.Register(name.partition("[")[0], int(name[:-1].partition("[")[2]) if "[" in name else None)
        for name in names
    )


def _elements(registers: tuple[qt.Register, ...]) -> tuple[str, ...]:
    return tuple(name for register in registers for name in register.elements)


@st.composite
def programs(
    draw: DrawFn,
    *,
    unbounded: bool = True,
    growing: bool = True,
    counters: bool = True,
    noise: tuple[str, ...] = CHANNELS,
    declared: bool = False,
) -> qt.Program:
    """A small program.

    Args:
        unbounded: whether it may contain unbounded loops.
        growing: whether a counter may grow in them, so that infinitely many stores are reachable.
        counters: whether it may have counters.
        noise: the channels that it may have.
        declared: whether it declares gates, of up to three qubits.
    """
    qubits = _registers(draw(st.sampled_from(QUBITS)))
    parameters = _registers(draw(st.sampled_from(PARAMETERS)))
    counted = _registers(draw(st.sampled_from(COUNTERS))) if counters else ()
    names = _elements(parameters)
    # A compared parameter is usually seen in comparisons only.
    in_angles = names if draw(st.integers(0, 3)) == 3 else tuple(name for name in names if name != "n")
    stores = _elements(counted)
    scope = Scope(
        qubits=_elements(qubits),
        angles=in_angles,
        arrays=tuple((r.name, r.size) for r in parameters if r.size is not None),
        compared=tuple(name for name in names if name == "n"),
        counters=stores,
        writable=stores,
        growing=stores[:1] if growing and draw(st.integers(0, 2)) else (),
        unbounded=unbounded,
        budget=Budget(loops=3),
        channels=noise,
        declared=draw(declarations(min(3, len(_elements(qubits))))) if declared else (),
    )
    first = qt.Gate("Ry", (ex.Parameter(in_angles[0]),), (), scope.qubits[:1])
    others = tuple(qt.Gate("H", (), (), (q,)) for q in scope.qubits[1:] if draw(st.booleans()))
    body = (first, *others, *draw(blocks(scope)))
    return qt.Program(qubits, parameters, counted, body, gate_declarations=scope.declared)


@st.composite
def observables(draw: DrawFn, program: qt.Program) -> Observable:
    """A term for every qubit and every counter, so that little stays unseen, and some for several.

    Counters have power 2 at most.
    """
    coefficients = st.sampled_from([1, -1, 0.5, 2, -0.25])
    letters = st.sampled_from(["Z", "X", "Y", "P0", "P1"])
    terms = [Term(draw(coefficients), (), ((qubit, draw(letters)),)) for qubit in program.qubits]
    terms += [Term(draw(coefficients), ((c, draw(st.integers(1, 2))),)) for c in program.counters]
    for _ in range(draw(st.integers(0, 2))):
        several = draw(st.dictionaries(st.sampled_from(program.qubits), letters))
        counted = draw(st.sampled_from([(), *(((name, 1),) for name in program.counters)]))
        terms.append(Term(draw(coefficients), counted, tuple(several.items())))
    return Observable(terms)


@st.composite
def values(draw: DrawFn, program: qt.Program) -> dict[str, float]:
    """A number for every parameter: away from 0, below 2 in magnitude, probabilities in 0.35 … 0.9."""
    drawn: dict[str, float] = {}
    for name in program.parameters:
        if name == "n":
            drawn[name] = draw(st.sampled_from([1, 2, 0, 1.5]))
        elif name == "p":
            drawn[name] = draw(st.integers(35, 90)) / 100
        else:
            drawn[name] = draw(st.sampled_from([1, -1])) * draw(st.integers(20, 190)) / 100
    return drawn


@st.composite
def cases(
    draw: DrawFn,
    *,
    unbounded: bool = True,
    growing: bool = True,
    counters: bool = True,
    noise: tuple[str, ...] = CHANNELS,
    declared: bool = False,
) -> tuple[qt.Program, Observable, dict[str, float]]:
    """A program with an observable and parameter values; the arguments are those of `programs`."""
    program = draw(
        programs(unbounded=unbounded, growing=growing, counters=counters, noise=noise, declared=declared)
    )
    return program, draw(observables(program)), draw(values(program))
