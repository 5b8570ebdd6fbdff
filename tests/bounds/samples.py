"""Seeded random programs outside of a Hypothesis test: the same numbers, the same programs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

from hypothesis import HealthCheck, Phase, given, seed, settings
from random_parts import CHANNELS
from strategies import cases

from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program

Case = tuple[Program, Observable, dict[str, float]]

SERIES = 20  # a longer one gets repetitive


def draw_cases(
    number: int, seed_value: int, *, declared: bool = False, noise: tuple[str, ...] = CHANNELS
) -> list[Case]:
    """Return different random programs with observables and parameters, as `strategies.cases` makes them."""
    return list(islice(_different(seed_value, declared, noise), number))


def _different(seed_value: int, declared: bool, noise: tuple[str, ...]) -> Iterator[Case]:
    seen: set[tuple[object, ...]] = set()
    for part in count():
        for program, observable, params in _series(1000 * seed_value + part, declared, noise):
            key = (program, observable, *params.items())
            if key not in seen:
                seen.add(key)
                yield program, observable, params


def _series(seed_value: int, declared: bool, noise: tuple[str, ...]) -> list[Case]:
    drawn: list[Case] = []

    @seed(seed_value)
    @settings(max_examples=SERIES, database=None, phases=[Phase.generate], suppress_health_check=HealthCheck)
    @given(cases(declared=declared, noise=noise))
    def collect(case: Case) -> None:
        drawn.append(case)

    collect()
    return drawn
