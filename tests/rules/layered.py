"""Programs in the bounded-loop artifact's syntax with layers, branches and loops: their structure is known.

A layer turns two qubits and couples them; `shared` of its gates have the parameter t1.
"""

from __future__ import annotations

SKIP = "skip()[q1]"


def layer(shared: int, first: int = 1) -> str:
    """Return a layer of three gates on the qubits `first` and `first` + 1."""
    a, b = f"q{first}", f"q{first + 1}"
    gates = [f"X({{}})[{a}]", f"Z({{}})[{b}]", f"YY({{}})[{a},{b}]"]
    return "; ".join(gate.format("t1" if i < shared else f"t{first + i + 1}") for i, gate in enumerate(gates))


def case(then: str, otherwise: str, qubit: int = 1) -> str:
    """Return a branch."""
    return f"case M[q{qubit}] = 0 then {then} else {otherwise} end"


def loop(passes: int, body: str, qubit: int = 1) -> str:
    """Return a bounded loop."""
    return f"while{{{passes}}} M[q{qubit}] = 1 do {body} od"


def nested(depth: int, shared: int, passes: int = 2) -> str:
    """Return a layer, then a loop around the same with one level less."""
    text = layer(shared)
    for _ in range(depth - 1):
        text = f"{layer(shared)}; {loop(passes, text)}"
    return text
