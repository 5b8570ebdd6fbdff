"""Replacement rules: how a primitive that depends on a parameter is differentiated by running programs.

    >>> import qdiff as qd
    >>> qd.rules.choose("Ry")
    <rule two-term: dE/da = ω/2 [E(a + π/2ω) - E(a - π/2ω)]>
    >>> gate = qd.rules.kind("Ry", controls=2)
    >>> gate, gate.frequencies
    (<gate C_Ry, 2 controls>, (0.5, 1.0))
    >>> for rule in qd.rules.applicable(gate):
    ...     print(f"{rule.name:16} L1 {rule.l1(gate):.4f}, {rule.ancillas(gate)} more qubits")
    four-term-paper  L1 1.2071, 0 more qubits
    equidistant      L1 1.0000, 0 more qubits
    least-l1         L1 1.0000, 0 more qubits
    riesz            L1 1.0000, 0 more qubits
    commutator       L1 8.0000, 4 more qubits
    >>> qd.rules.select("shift-paper", gate).name
    'four-term-paper'

Gates that a program declares are found in it: `qd.rules.choose("Mine", program=program)`.
"""

# They fill the registry, in the order of the documentation.
from qdiff.rules import shift_rules, stochastic  # noqa: F401

# isort: split
from qdiff.rules import hadamard  # noqa: F401

# isort: split
from qdiff.rules import commutator, mixtures  # noqa: F401

# isort: split
from qdiff.rules.kinds import kind
from qdiff.rules.primitive import ChannelKind, FlipKind, GateKind, Kind
from qdiff.rules.registry import applicable, choose, names, rules, select
from qdiff.rules.term import Rule

__all__ = [
    "ChannelKind",
    "FlipKind",
    "GateKind",
    "Kind",
    "Rule",
    "applicable",
    "choose",
    "kind",
    "names",
    "rules",
    "select",
]
