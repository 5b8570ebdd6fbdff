"""PennyLane Catalyst: value and gradient compiled by `qjit`, on lightning.qubit with its adjoint method.

    python -m benchmarks.peers.static.catalyst

Ways: `value_and_grad` of the QNode; for sets of parameters `vmap` of it, or a compiled loop over them.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.static.circuit import Circuit
from benchmarks.peers.static.pennylane import apply, observable
from benchmarks.peers.static.serve import Floats, Ready, Way, looped, serve


def version() -> str:
    """The version of Catalyst."""
    import catalyst

    return str(catalyst.__version__)


def both(circuit: Circuit) -> Any:
    """Value and gradient, to be compiled."""
    import catalyst
    import pennylane as qml

    @qml.qnode(qml.device("lightning.qubit", wires=circuit.qubits), diff_method="adjoint")
    def value(w: Any) -> Any:
        apply(circuit, w)
        return qml.expval(observable(circuit))

    return catalyst.value_and_grad(value)


def taken(w: Floats) -> Any:
    """To JAX's arrays."""
    import jax.numpy as jnp

    return jnp.asarray(w)


def one(circuit: Circuit) -> Ready:
    """One set of parameters."""
    from catalyst import qjit

    found = both(circuit)

    @qjit
    def program(w: Any) -> Any:
        return found(w)

    return Ready(program, taken)


def mapped(circuit: Circuit) -> Ready:
    """`vmap` over rows."""
    from catalyst import qjit, vmap

    found = both(circuit)

    @qjit
    def program(rows: Any) -> Any:
        return vmap(found)(rows)

    return Ready(program, taken)


WAYS: dict[str, Way] = {"value_and_grad": one}
BATCH: dict[str, Way] = {"vmap": mapped, "one by one": looped(one)}

if __name__ == "__main__":
    serve(version, {**WAYS, **BATCH})
