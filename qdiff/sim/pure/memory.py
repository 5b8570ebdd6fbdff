"""Memory of pure states, refused before it is allocated."""

from __future__ import annotations

from qdiff.errors import ResourceError
from qdiff.sim.exact import OR_FROM_SHOTS
from qdiff.sim.sizes import size_text


def state_bytes(qubits: int) -> int:
    """Bytes of one pure state."""
    return 16 << qubits


def require(states: int, others: int, qubits: int, limit: int, engine: str, advice: str) -> None:
    """Refuse states that do not fit.

    Args:
        states: how many states on all qubits; others: bytes besides them; limit: in bytes.
        advice: what besides a higher limit and shots would help.

    Raises:
        ResourceError: they do not fit.
    """
    needed = states * state_bytes(qubits) + others
    if needed > limit:
        raise ResourceError(
            f"The {engine} engine needs {size_text(needed)} for {states} pure states on {qubits} qubits; the "
            f"limit is {size_text(limit)}. Raise it (qd.expectation(…, max_memory=bytes)), {advice}",
            advice=OR_FROM_SHOTS,
        )
