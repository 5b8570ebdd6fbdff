"""Noise channels by name, for `qd.NoiseModel`: what may happen to the qubits of a gate after it."""

from qdiff.lang.noise.channels import (
    bit_flip,
    channel,
    damp,
    dephase,
    depolarize,
    pauli,
    reset,
    thermal_relaxation,
)
from qdiff.lang.noise.noise_channel import NoiseChannel

__all__ = [
    "NoiseChannel",
    "bit_flip",
    "channel",
    "damp",
    "dephase",
    "depolarize",
    "pauli",
    "reset",
    "thermal_relaxation",
]
