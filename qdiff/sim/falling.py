"""Whether a mass that is followed ever further falls fast enough to reach an end.

One that falls geometrically with the steps is squared when twice as many are taken,

    m(n) = rⁿ   ⟹   m(2n) = m(n)²,

and where the places to follow multiply on the way, it is still some power of m(n) above 1.
"""

from __future__ import annotations

from enum import Enum, auto

UNTOUCHED = 1e-9


class Fall(Enum):
    """What a mass does when it is followed twice as far."""

    UNTOUCHED = auto()
    """Nothing has ended yet: nothing can be told."""
    FAST = auto()
    SLOW = auto()


def fall(share: float, before: float, slowest: float, ceiling: float = 1.0) -> Fall:
    """Return how a share falls that was looked at after n steps and after 2n.

    Args:
        share, before: what is left after 2n and after n, as a part of what there was at first.
        slowest: the power of `before` that `share` must stay below.
        ceiling: what is left of a share that nothing has ended of yet.
    """
    if share > ceiling - UNTOUCHED:
        return Fall.UNTOUCHED
    return Fall.SLOW if 0 < share >= before**slowest else Fall.FAST
