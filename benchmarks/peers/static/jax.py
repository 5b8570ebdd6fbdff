"""JAX: a plain program of arrays for the state vector, compiled by XLA with its reverse mode, in float64.

    python -m benchmarks.peers.static.jax

Ways: each gate by itself; neighbouring gates on a qubit multiplied first, then applied to the halves of the
state or by `tensordot`; the same in a `lax.scan` over equal layers, with the CNOT of a layer as one
permutation, which compiles several times as fast and is the only one tried on more than `SMALL` qubits. The
batch is `jax.vmap` of each. XLA runs on one thread by its flags (`benchmarks.static_contests`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.static.circuit import Circuit, Step
from benchmarks.peers.static.serve import Floats, Ready, Way, serve

SMALL = 8  # qubits

State = Any  # complex (2, …, 2), one axis a qubit


def version() -> str:
    """The version of JAX, which computes in float64 from now on."""
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax.__version__


def compiled(circuit: Circuit, *, state: Callable[[Circuit, Any], State], batch: bool) -> Ready:
    """Value and gradient of <ψ|O|ψ>, compiled; with `batch` for rows of parameters."""
    import jax
    import jax.numpy as jnp

    def value(w: Any) -> Any:
        return expectation(circuit, state(circuit, w))

    both = jax.value_and_grad(value)
    program = jax.jit(jax.vmap(both) if batch else both)

    def call(w: Any) -> tuple[Any, Any]:
        found, gradient = program(w)
        return found.block_until_ready(), gradient.block_until_ready()

    def take(w: Floats) -> Any:
        return jnp.asarray(w)

    return Ready(call, take)


def matrix(step: Step, w: Any) -> Any:
    """complex (2, 2)."""
    import jax.numpy as jnp

    if step.name == "h":
        return jnp.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)
    paulis = {"x": [[0, 1], [1, 0]], "y": [[0, -1j], [1j, 0]], "z": [[1, 0], [0, -1]]}
    pauli = np.array(paulis[step.name[-1]], dtype=complex)
    if len(step.name) == 1:
        return jnp.asarray(pauli)
    half = step.at(w) / 2
    return jnp.cos(half) * np.eye(2) - 1j * jnp.sin(half) * pauli


def halves(psi: State, qubit: int, m: Any) -> State:
    """A matrix on a qubit, from the two halves of the state."""
    import jax.numpy as jnp

    shape = psi.shape
    psi = psi.reshape(1 << qubit, 2, -1)
    zero, one = psi[:, 0], psi[:, 1]
    turned = [m[0, 0] * zero + m[0, 1] * one, m[1, 0] * zero + m[1, 1] * one]
    return jnp.stack(turned, axis=1).reshape(shape)


def contracted(psi: State, qubit: int, m: Any) -> State:
    """A matrix on a qubit, as a contraction."""
    import jax.numpy as jnp

    return jnp.moveaxis(jnp.tensordot(m, psi, axes=[[1], [qubit]]), 0, qubit)


def controlled(psi: State, step: Step, w: Any) -> State:
    """A gate where its control is 1."""
    import jax.numpy as jnp
    from jax import lax

    if len(step.controls) != 1:
        raise NotImplementedError(f"{len(step.controls)} controls")
    (control,) = step.controls
    off, on = (lax.index_in_dim(psi, bit, control, keepdims=False) for bit in (0, 1))
    target = step.target - (control < step.target)
    on = jnp.flip(on, target) if step.name == "x" else halves(on, target, matrix(step, w))
    return jnp.stack([off, on], axis=control)


def by_gates(circuit: Circuit, w: Any, *, merged: bool, apply: Callable[[State, int, Any], State]) -> State:
    """The final state, gate by gate, or with the gates of a stretch multiplied first."""
    if circuit.qubits > SMALL:
        raise NotImplementedError(f"left out on more than {SMALL} qubits: takes minutes to compile")
    psi = start(circuit)
    for run in circuit.runs() if merged else [(step,) for step in circuit.steps]:
        one = run[0]
        psi = controlled(psi, one, w) if one.controls else apply(psi, one.target, product(run, w))
    return psi


def scanned(circuit: Circuit, w: Any, *, apply: Callable[[State, int, Any], State]) -> State:
    """The final state by a loop over equal layers: one layer is compiled, gates of a stretch multiplied, and
    controlled gates without angles between them are one permutation of the amplitudes."""
    from jax import lax

    layer, count = one_layer(circuit)
    still = np.arange(1 << circuit.qubits)

    def body(psi: State, angles: Any) -> tuple[State, None]:
        places = still
        for run in layer.runs():
            if run[0].controls:
                places = places[permuted(run[0], circuit.qubits)]
                continue
            if places is not still:
                psi, places = permute(psi, places), still
            psi = apply(psi, run[0].target, product(run, angles))
        return permute(psi, places), None

    return lax.scan(body, start(circuit), w.reshape(count, -1))[0]


def start(circuit: Circuit) -> State:
    """|0…0>."""
    import jax.numpy as jnp

    return jnp.zeros((2,) * circuit.qubits, dtype=complex).at[(0,) * circuit.qubits].set(1)


def permute(psi: State, places: Any) -> State:
    """The amplitudes from these places; the derivative goes back by the inverse."""
    import jax

    back = np.argsort(places)

    @jax.custom_vjp
    def moved(x: Any) -> Any:
        return x[places]

    moved.defvjp(lambda x: (x[places], None), lambda _, g: (g[back],))
    return moved(psi.reshape(-1)).reshape(psi.shape)


def one_layer(circuit: Circuit) -> tuple[Circuit, int]:
    """The shortest part of the gates that is repeated with parameters of its own, and how often."""
    steps, total = circuit.steps, len(circuit.steps)
    for count in range(total, 1, -1):
        if total % count or circuit.parameters % count:
            continue
        size, shift = total // count, circuit.parameters // count
        if all(
            step == (first if first.parameter is None else _moved(first, shift * (i // size)))
            for i, (step, first) in enumerate(zip(steps, steps[:size] * count, strict=True))
        ):
            return replace(circuit, steps=steps[:size], parameters=shift), count
    return circuit, 1


def _moved(step: Step, shift: int) -> Step:
    assert step.parameter is not None
    return replace(step, parameter=step.parameter + shift)


def permuted(step: Step, qubits: int) -> Any:
    """int (2ⁿ,): where amplitudes come from under a controlled X; the first qubit is the highest bit."""
    if step.name != "x":
        raise NotImplementedError(f"a controlled {step.name}")
    places = np.arange(1 << qubits)
    on = np.all([places >> (qubits - 1 - c) & 1 == 1 for c in step.controls], axis=0)
    return np.where(on, places ^ (1 << (qubits - 1 - step.target)), places)


def product(run: Sequence[Step], w: Any) -> Any:
    """complex (2, 2): gates on one qubit, the first of them rightmost."""
    found = matrix(run[0], w)
    for step in run[1:]:
        found = matrix(step, w) @ found
    return found


def expectation(circuit: Circuit, psi: State) -> Any:
    """<ψ|O|ψ>: diagonal terms as one vector times the probabilities, the others one by one."""
    import jax.numpy as jnp

    diagonal, value = np.zeros((2,) * circuit.qubits), 0.0
    for coefficient, word in circuit.terms:
        if all(letter == "Z" for _, letter in word):
            sign = np.ones((1,) * circuit.qubits)
            for qubit, _ in word:
                shape = [2 if q == qubit else 1 for q in range(circuit.qubits)]
                sign = sign * np.array([1.0, -1.0]).reshape(shape)
            diagonal += coefficient * sign
            continue
        moved = psi
        for qubit, letter in word:
            moved = halves(moved, qubit, matrix(Step(letter.lower(), qubit), ()))
        if len(word) == 1 and word[0][1] == "X":
            moved = jnp.flip(psi, word[0][0])
        value = value + coefficient * jnp.vdot(psi, moved).real
    return value + jnp.sum(diagonal * (psi.real**2 + psi.imag**2))


STATES: dict[str, Callable[[Circuit, Any], State]] = {
    "gate by gate": partial(by_gates, merged=False, apply=halves),
    "merged gates, halves": partial(by_gates, merged=True, apply=halves),
    "merged gates, tensordot": partial(by_gates, merged=True, apply=contracted),
    "scan, halves": partial(scanned, apply=halves),
    "scan, tensordot": partial(scanned, apply=contracted),
}
WAYS: dict[str, Way] = {name: partial(compiled, state=state, batch=False) for name, state in STATES.items()}
BATCH: dict[str, Way] = {
    f"vmap, {name}": partial(compiled, state=state, batch=True) for name, state in STATES.items()
}

if __name__ == "__main__":
    serve(version, {**WAYS, **BATCH})
