"""Random gate declarations for Hypothesis: sums of Pauli words with and without a drift, and matrices."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from qdiff.lang.tree import GateDeclaration, PauliTerm

NAMES = ("Heis", "gate", "i", "W2", "I3")
COEFFICIENTS = (0.5, -0.25, 1.0, 0.3, -0.7, 1.2)
MATRICES: dict[int, tuple[tuple[tuple[complex, ...], ...], ...]] = {
    1: (((0.6 + 0j, 0.8j), (0.8j, 0.6 + 0j)), ((0j, 1j), (1 + 0j, 0j)), ((1 + 0j, 0j), (0j, -1j))),
    2: (
        (
            (0.6 + 0j, 0j, 0j, 0.8 + 0j),
            (0j, 0j, 1j, 0j),
            (0j, 1 + 0j, 0j, 0j),
            (-0.8 + 0j, 0j, 0j, 0.6 + 0j),
        ),
    ),
}


@st.composite
def _sums(draw: DrawFn, qubits: int) -> tuple[PauliTerm, ...]:
    """One to three Pauli words, not the identity alone."""
    words = st.text("IXYZ", min_size=qubits, max_size=qubits)
    first = draw(words.filter(lambda word: set(word) != {"I"}))
    others = draw(st.lists(words.filter(lambda word: word != first), max_size=2, unique=True))
    return tuple((draw(st.sampled_from(COEFFICIENTS)), word) for word in (first, *others))


@st.composite
def declarations(draw: DrawFn, most: int) -> tuple[GateDeclaration, ...]:
    """One to three gates on at most so many qubits each."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    found = []
    for name in names:
        qubits = draw(st.integers(1, most))
        arguments = tuple(f"x{i}" for i in range(qubits))
        kind = draw(st.sampled_from(["plain", "drift", "drift", "matrix"]))
        if kind == "matrix" and qubits in MATRICES:
            matrix = draw(st.sampled_from(MATRICES[qubits]))
            found.append(GateDeclaration(name, None, arguments, matrix=matrix))
            continue
        drift = draw(_sums(qubits)) if kind == "drift" else ()
        found.append(GateDeclaration(name, "a", arguments, draw(_sums(qubits)), drift))
    return tuple(found)
