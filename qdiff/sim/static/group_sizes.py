"""Sizes that groups of gates share, apart from what is compiled."""

from __future__ import annotations

GROUP_QUBITS = 3
LOCAL = 1 << GROUP_QUBITS
"""Local states of a group."""
BLOCK_BITS = 14
"""Amplitudes of a block: ψ and one λ take half a mebibyte."""
