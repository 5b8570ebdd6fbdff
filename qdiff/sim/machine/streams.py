"""Random streams: Philox 4×64 with ten rounds (Salmon, Moraes, Dror and Shaw, 2011), as NumPy's.

A shot draws with key (seed, 0), counter (b, 0, shot, 0) for its b-th block of four words, b from 1, and
u = (word >> 11)·2⁻⁵³.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from qdiff.sim.machine.code import Floats
from qdiff.sim.machine.compiled import entry, inlined
from qdiff.sim.machine.tables import Words


def _high_word(typing_context: Any, a: Any, b: Any) -> Any:
    """The high word of a product of two words."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(*[builder.zext(argument, wide) for argument in arguments])
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


high_word = cast(Callable[[Any, Any], Any], intrinsic(_high_word))


@inlined
def philox(block: int, shot: np.uint64, seed: np.uint64, words: Words) -> None:
    """Write the four words of a block."""
    a, b, c, d = np.uint64(block), np.uint64(0), np.uint64(shot), np.uint64(0)
    key, tweak = np.uint64(seed), np.uint64(0)
    first, second = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
    for _ in range(10):
        high, low = high_word(first, a), first * a
        high2, low2 = high_word(second, c), second * c
        a, b, c, d = high2 ^ b ^ key, low2, high ^ d ^ tweak, low
        key += np.uint64(0x9E3779B97F4A7C15)
        tweak += np.uint64(0xBB67AE8584CAA73B)
    words[0], words[1], words[2], words[3] = a, b, c, d


@entry
def stream(seed: np.uint64, shot: np.uint64, numbers: Floats, words: Words) -> None:
    """Write the first numbers that a shot draws; `words` is room for four."""
    for i in range(numbers.size):
        if i & 3 == 0:
            philox((i >> 2) + 1, shot, seed, words)
        numbers[i] = float(words[i & 3] >> np.uint64(11)) * 2.0**-53


@entry
def random_block(block: int, shot: np.uint64, seed: np.uint64, words: Words) -> None:
    """`philox`, for Python."""
    philox(block, shot, seed, words)
