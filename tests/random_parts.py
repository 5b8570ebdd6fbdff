"""The parts of random programs for Hypothesis: angles, probabilities, conditions, gates, assignments.

Everything has a value and a derivative wherever `strategies.values` may lead, and is in the normal
form that the parser yields.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from qdiff.lang import expr as ex
from qdiff.lang import tree as qt
from qdiff.lang.expr import Expr, Number, add, divide, multiply, negate, number

FIXED = ("H", "X", "Y", "Z", "S", "Sdg", "T", "Tdg", "SX", "I")
ROTATIONS = ("Ry", "Rx", "Rz", "P")
TWO_QUBITS = ("SWAP", "ISWAP", "Rxx", "Ryy", "Rzz", "R_XZ", "R_YX")
THREE_QUBITS = ("R_XZY", "R_ZZX")
MIXTURES = ("dephase", "depolarize")
CHANNELS = (*MIXTURES, "damp")
NUMBERS = (1, 2, 3, 0.5, 0.25, 1.3)


@dataclass
class Budget:
    """What may still be built, shared by all scopes of one program."""

    loops: int


@dataclass(frozen=True)
class Scope:
    """What a statement may use where it stands."""

    qubits: tuple[str, ...]
    angles: tuple[str, ...]  # parameters that may stand in angles
    arrays: tuple[tuple[str, int], ...]  # parameter arrays with their sizes
    compared: tuple[str, ...]
    counters: tuple[str, ...]
    writable: tuple[str, ...]  # counters that may be changed here
    growing: tuple[str, ...]  # counters that may grow in an unbounded loop (not in one inside it)
    unbounded: bool  # whether unbounded loops are wanted at all
    budget: Budget = field(compare=False)
    channels: tuple[str, ...] = ()
    declared: tuple[qt.GateDeclaration, ...] = ()
    depth: int = 0  # statements around this one
    loops: int = 0  # unbounded loops around this statement


# --- Expressions --------------------------------------------------------------------------------


@st.composite
def angles(draw: DrawFn, scope: Scope, depth: int = 2) -> Expr:
    """An angle: finite, with a derivative wherever `values` may lead."""
    kinds = ["parameter", "parameter", "number"]
    if scope.counters:
        kinds.append("counter")
        if scope.arrays:
            kinds += ["element", "element"]
    if depth:
        kinds += ["negative", "sum", "product", "scaled", "function", "power", "quotient"]
    inner = angles(scope, depth - 1) if depth else st.nothing()
    match draw(st.sampled_from(kinds)):
        case "parameter":
            return ex.Parameter(draw(st.sampled_from(scope.angles)))
        case "number":
            return draw(st.sampled_from([ex.Pi(), *map(number, NUMBERS)]))
        case "counter":
            counter = ex.Counter(draw(st.sampled_from(scope.counters)))
            return multiply(ex.Parameter(draw(st.sampled_from(scope.angles))), counter)
        case "element":
            array, length = draw(st.sampled_from(scope.arrays))
            shifted = add(
                ex.Counter(draw(st.sampled_from(scope.counters))), draw(st.sampled_from([ex.ZERO, ex.ONE]))
            )
            return ex.ParameterElement(array, length, ex.Modulo(shifted, Number(length)))
        case "negative":
            return negate(draw(inner))
        case "sum":
            return add(draw(inner), draw(st.sampled_from([negate, lambda e: e]))(draw(inner)))
        case "product":
            return multiply(draw(inner), draw(inner))
        case "scaled":
            return multiply(number(draw(st.sampled_from([0.3, -0.7, 2]))), draw(inner))
        case "power":
            base = ex.Parameter(draw(st.sampled_from(scope.angles)))
            return ex.Power(base, Number(draw(st.sampled_from([2, 3]))))
        case "quotient":
            bottoms = [Number(2), Number(3), add(ex.ONE, ex.Power(draw(inner), Number(2)))]
            return divide(draw(inner), draw(st.sampled_from(bottoms)))
        case _:
            return draw(_calls(scope, draw(inner)))


@st.composite
def _calls(draw: DrawFn, scope: Scope, argument: Expr) -> Expr:
    """A function where its argument is certain to be inside the domain."""
    function = draw(st.sampled_from(ex.FUNCTIONS))
    parameter = ex.Parameter(draw(st.sampled_from(scope.angles)))  # never 0 and below 2 in magnitude
    match function:
        case "sqrt" | "log":
            return ex.Call(function, add(ex.ONE, ex.Power(argument, Number(2))))
        case "asin" | "acos":
            return ex.Call(function, multiply(Number(0.9), ex.Call("sin", argument)))
        case "abs":
            return ex.Call(function, parameter)
        case "tan" | "exp":
            return ex.Call(function, divide(parameter, Number(3)))
        case _:
            return ex.Call(function, argument)


@st.composite
def probabilities(draw: DrawFn, scope: Scope) -> Expr:
    """A probability that stays within 0.35 … 0.9."""
    kinds = ["number", "sine", "cosine", *(["parameter"] if "p" in scope.angles else [])]
    match draw(st.sampled_from(kinds)):
        case "parameter":
            return ex.Parameter("p")
        case "number":
            return Number(draw(st.sampled_from([0.5, 0.35, 0.7, 0.9])))
        case "sine":
            return add(Number(0.6), multiply(Number(0.2), ex.Call("sin", draw(angles(scope, 1)))))
        case _:
            return add(Number(0.6), multiply(number(-0.25), ex.Call("cos", draw(angles(scope, 1)))))


@st.composite
def channels(draw: DrawFn, scope: Scope) -> qt.Channel:
    """A noise channel."""
    name = draw(st.sampled_from(scope.channels))
    return qt.Channel(name, draw(probabilities(scope)), (draw(st.sampled_from(scope.qubits)),))


@st.composite
def assignments(draw: DrawFn, scope: Scope) -> qt.Assign:
    """counter := expression; in an unbounded loop only a growing counter may grow."""
    name = draw(st.sampled_from(scope.writable))
    own = ex.Counter(name)
    other = ex.Counter(draw(st.sampled_from(scope.counters)))
    modulus = Number(draw(st.sampled_from([2, 3, 4])))
    bounded = [
        Number(draw(st.integers(0, 3))),
        ex.Modulo(add(own, ex.ONE), modulus),
        ex.Modulo(add(multiply(Number(2), own), other), modulus),
        ex.Modulo(negate(other), modulus),
    ]
    free = [add(own, ex.ONE), add(own, Number(2)), add(own, ex.Modulo(other, modulus))]
    if not scope.loops:
        choices = [
            *free,
            *bounded,
            add(own, number(-1)),
            multiply(Number(2), other),
            ex.IntegerQuotient(own, Number(2)),
        ]
    elif scope.loops == 1 and name in scope.growing:
        choices = free
    else:
        choices = bounded
    return qt.Assign(name, draw(st.sampled_from(choices)))


# --- Conditions ---------------------------------------------------------------------------------


@st.composite
def conditions(draw: DrawFn, scope: Scope, depth: int = 2) -> qt.Condition:
    """Any condition."""
    kinds = ["flip"]
    if scope.qubits:
        kinds = ["measured", "measured", *kinds]
    if scope.counters or scope.compared:
        kinds += ["compare", "compare"]
    if depth:
        kinds += ["not", "and", "or"]
    match draw(st.sampled_from(kinds)):
        case "measured":
            qubits = draw(some(scope.qubits, 2))
            return qt.Measured(qubits, draw(st.integers(0, 2 ** len(qubits) - 1)))
        case "flip":
            return qt.Flip(draw(probabilities(scope)))
        case "compare":
            return draw(_comparisons(scope))
        case "not":
            return qt.Not(draw(conditions(scope, 0)))
        case "and":
            return qt.And(
                _unlike(qt.And, draw(st.lists(conditions(scope, depth - 1), min_size=2, max_size=3)))
            )
        case _:
            return qt.Or(_unlike(qt.Or, draw(st.lists(conditions(scope, depth - 1), min_size=2, max_size=3))))


def _unlike(kind: type, parts: list[qt.Condition]) -> tuple[qt.Condition, ...]:
    """The parts, those of the same kind negated: `a and (b and c)` has more than one text."""
    return tuple(qt.Not(part) if isinstance(part, kind) else part for part in parts)


@st.composite
def _comparisons(draw: DrawFn, scope: Scope) -> qt.Compare:
    operands: list[Expr] = [ex.Counter(c) for c in scope.counters] + [ex.Parameter(n) for n in scope.compared]
    left: Expr = draw(st.sampled_from(operands))
    right: Expr = draw(st.sampled_from([Number(1), Number(2), Number(0), Number(1.5), *operands]))
    if draw(st.booleans()):
        right = add(right, ex.ONE)
    if draw(st.booleans()):
        left = multiply(Number(draw(st.sampled_from([2, 0.5]))), left)
    return qt.Compare(left, draw(st.sampled_from(qt.OPERATORS)), right)


# --- Gates ---------------------------------------------------------------------------------------


@st.composite
def some(draw: DrawFn, names: tuple[str, ...], most: int) -> tuple[str, ...]:
    """One to `most` different names in any order."""
    order = draw(st.permutations(names))
    return tuple(order[: draw(st.integers(1, min(most, len(names))))])


@st.composite
def gates(draw: DrawFn, scope: Scope) -> qt.Gate:
    """Any gate, with any controls that fit."""
    if scope.declared and scope.qubits and draw(st.booleans()):
        return draw(_declared_gates(scope))
    names = [*ROTATIONS, *ROTATIONS, *FIXED[:3], "U", draw(st.sampled_from(FIXED))]
    if len(scope.qubits) > 1:
        names += TWO_QUBITS
    if len(scope.qubits) > 2:
        names += THREE_QUBITS
    name = draw(st.sampled_from(names))
    targets = 2 if name in TWO_QUBITS else 3 if name in THREE_QUBITS else 1
    controls = draw(st.integers(0, len(scope.qubits) - targets))
    order = tuple(draw(st.permutations(scope.qubits)))
    many = 3 if name == "U" else 0 if name in FIXED or name in ("SWAP", "ISWAP") else 1
    return qt.Gate(
        name,
        tuple(draw(angles(scope)) for _ in range(many)),
        order[:controls],
        order[controls : controls + targets],
    )


@st.composite
def _declared_gates(draw: DrawFn, scope: Scope) -> qt.Gate:
    """A gate that the program declares; another one where none fits."""
    fitting = [gate for gate in scope.declared if len(gate.qubits) <= len(scope.qubits)]
    if not fitting:
        return qt.Gate("X", (), (), scope.qubits[:1])
    gate = draw(st.sampled_from(fitting))
    targets = len(gate.qubits)
    controls = draw(st.integers(0, len(scope.qubits) - targets))
    order = tuple(draw(st.permutations(scope.qubits)))
    given = () if gate.angle is None else (draw(angles(scope)),)
    return qt.Gate(gate.name, given, order[:controls], order[controls : controls + targets])
