"""Shift rules as tables: d/da E_a = Σ_j c_j E_{a + s_j}.

For a channel with frequencies ω in (0, ω_max], such a table is right when Σ_j c_j e^{iωs_j} = iω for
every ω and Σ_j c_j = 0. No table has Σ_j |c_j| < ω_max. Sources: Schuld, Bergholm, Gogolin, Izaac and
Killoran (2019); Anselmetti, Wierichs, Gogolin and Parrish (2021); Wierichs, Izaac, Wang and Lin (2022);
M. Riesz (1914) for the infinite table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from qdiff.lang.expr import Call, Expr, Number, Pi, Power, Reciprocal, add, divide, multiply, negate, number

LARGEST_MULTIPLE = 64  # of the base frequency, that an equidistant rule is made for
LARGEST_DENOMINATOR = 256  # of frequencies that are taken as fractions
EXACT = 1e-12
LARGEST_CACHE = 1024  # tables that are kept: a program has many sites of few kinds
SOLVED = 1e-13  # of equations whose largest number is 1
WIDEST = 2**14  # window of shifts, in units of π/ω_max


@dataclass(frozen=True)
class Shift:
    """One entry: the channel at a + `by`, times `coefficient`."""

    coefficient: Expr
    by: Expr


Table = tuple[Shift, ...]


def l1(table: Table) -> float:
    """Return Σ_j |c_j|."""
    return math.fsum(abs(float(shift.coefficient.evaluate())) for shift in table)


@lru_cache(maxsize=LARGEST_CACHE)
def two_term(frequency: float) -> Table:
    """±ω/2 at a ± π/2ω: exact for a single frequency."""
    omega = fraction_or_float(frequency)
    half, quarter = _real(omega / 2), _of_pi(1 / (2 * omega))
    return (Shift(half, quarter), Shift(negate(half), negate(quarter)))


@cache
def paper_four_term() -> Table:
    """±1/2 at a ± π/2 and ±(1 - √2)/4 at a ± π: for the frequencies 1/2 and 1, as published in 2023."""
    inner, outer = _real(Fraction(1, 2)), divide(add(number(1), negate(Call("sqrt", number(2)))), number(4))
    quarter, half = _of_pi(Fraction(1, 2)), Pi()
    return (
        Shift(inner, quarter),
        Shift(negate(inner), negate(quarter)),
        Shift(outer, half),
        Shift(negate(outer), negate(half)),
    )


@lru_cache(maxsize=LARGEST_CACHE)
def base_frequency(frequencies: tuple[float, ...]) -> float | None:
    """Return the largest ω₀ of which all frequencies are multiples, up to `LARGEST_MULTIPLE`; else None."""
    largest = frequencies[-1]
    ratios = [Fraction(f / largest).limit_denominator(LARGEST_MULTIPLE) for f in frequencies]
    if any(abs(float(r) - f / largest) > EXACT for r, f in zip(ratios, frequencies, strict=True)):
        return None
    multiple = math.lcm(*(ratio.denominator for ratio in ratios))
    return largest / multiple if multiple <= LARGEST_MULTIPLE else None


@lru_cache(maxsize=LARGEST_CACHE)
def equidistant(base: float, multiple: int) -> Table:
    """2R shifts for frequencies that are multiples of ω₀, R = ω_max/ω₀ the largest of them.

    x_μ = (2μ - 1)π/2R, c_μ = ω₀(-1)^(μ-1)/(4R sin²(x_μ/2)), s_μ = x_μ/ω₀, written within ±π/ω₀.
    """
    omega, r = fraction_or_float(base), multiple
    table = []
    for mu in range(1, 2 * r + 1):
        part = Fraction(2 * mu - 1, 4 * r)  # of π; sin(π - x) = sin x
        square = Power(Call("sin", _of_pi(min(part, 1 - part))), Number(2))
        coefficient = _quotient(omega / (4 * r), square)
        turns = Fraction(2 * mu - 1, 2 * r)  # of π/ω₀; the period is 2π/ω₀
        turns -= 2 if turns > 1 else 0
        table.append(Shift(coefficient if mu % 2 else negate(coefficient), _of_pi(turns / omega)))
    return tuple(sorted(table, key=lambda shift: abs(float(shift.by.evaluate()))))


def squared(table: Table, period: float | None) -> Table:
    """d²/da² E_a: the table applied twice, equal shifts (of a channel with this period) taken together."""
    sizes: dict[float, float] = {}
    for one in table:
        for other in table:
            by = float(add(one.by, other.by).evaluate())
            if period is not None:
                by -= period * math.floor(by / period + 0.5 - EXACT)  # (-period/2, period/2]
            by = next((known for known in sizes if abs(known - by) <= EXACT), by)
            size = float(one.coefficient.evaluate()) * float(other.coefficient.evaluate())
            sizes[by] = sizes.get(by, 0.0) + size
    least = EXACT * max(map(abs, sizes.values()), default=0.0)
    kept = [(size, by) for by, size in sizes.items() if abs(size) > least]
    return tuple([Shift(exact(size), _turned(by)) for size, by in kept])


@lru_cache(maxsize=LARGEST_CACHE)
def least_l1(frequencies: tuple[float, ...]) -> Table:
    """The shifts with the least Σ|c_j| for any frequencies; () where some are too close to the largest.

    The linear programme: minimise 2 Σ|c_j| subject to 2 Σ_j c_j sin(ωs_j) = ω for every frequency; the
    rule is Σ_j c_j [E_{a+s_j} - E_{a-s_j}]. Its minimum is ω_max, reached only where every s_j is an odd
    multiple of π/2ω_max and c_j has the sign of sin(ω_max s_j). So what is left to solve are linear
    equations for |c_j| ≥ 0, in a window of 8π/ω_max for up to 6 frequencies, 16π/ω_max for more, and wider
    ones where that is not enough. At most one pair of shifts a frequency is used.
    """
    if len(frequencies) == 1:
        return two_term(frequencies[0])
    from scipy.optimize import nnls

    largest = frequencies[-1]
    relative = np.array(frequencies) / largest
    window = 8 if len(frequencies) <= 6 else 16
    while window <= WIDEST:
        odd = np.arange(1, 2 * window, 2)
        signs = np.where(odd % 4 == 1, 1.0, -1.0)
        sizes, residual = nnls(2 * np.sin(np.outer(relative, odd * (math.pi / 2))) * signs, relative)
        if residual <= SOLVED:
            table: list[Shift] = []
            for i in np.flatnonzero(sizes).tolist():
                c = number(float(largest * signs[i] * sizes[i]))
                s = _of_pi(int(odd[i]) / (2 * fraction_or_float(largest)))
                table += [Shift(c, s), Shift(negate(c), negate(s))]
            return tuple(table)
        window *= 2
    return ()


def riesz_entry(largest: float, j: Expr) -> Shift:
    """The entry j of the infinite table that is right for every spectrum up to ω_max; j may be a counter.

    (4ω_max/π²) (-1)^j/(2j+1)² at a + (2j+1)π/2ω_max, j any integer.
    """
    omega = fraction_or_float(largest)
    odd = add(multiply(number(2), j), number(1))
    if not odd.counters():
        odd = number(int(odd.evaluate()))
    size = _quotient(4 * omega, multiply(Power(Pi(), Number(2)), Power(odd, Number(2))))
    return Shift(multiply(Power(number(-1), j), size), multiply(odd, _of_pi(1 / (2 * omega))))


def solves(table: Table, frequencies: tuple[float, ...], tolerance: float = EXACT) -> bool:
    """Whether a table is a derivative rule for every frequency: Σ c e^{iωs} = iω and Σ c = 0."""
    c = np.array([float(shift.coefficient.evaluate()) for shift in table])
    s = np.array([float(shift.by.evaluate()) for shift in table])
    omega = np.array([0.0, *frequencies])
    off: NDArray[np.float64] = np.abs(np.exp(1j * np.outer(omega, s)) @ c - 1j * omega)
    return bool(np.all(off <= tolerance * max(1.0, float(np.abs(c).sum()))))


def fraction_or_float(value: float) -> Fraction | float:
    """Return a float as the fraction that it was written as, if that has a small denominator."""
    fraction = Fraction(value).limit_denominator(LARGEST_DENOMINATOR)
    return fraction if abs(float(fraction) - value) <= EXACT * abs(value) else value


def exact(value: float) -> Expr:
    """Return a number as a quotient of integers, where it was written as one with small ones."""
    return _real(fraction_or_float(value))


def _real(value: Fraction | float) -> Expr:
    if isinstance(value, float):
        return number(value)
    if value <= 0:
        return negate(_real(-value)) if value else number(0)
    top = number(value.numerator)
    return top if value.denominator == 1 else divide(top, number(value.denominator))


def _turned(angle: float) -> Expr:
    """An angle in radians, as a fraction of π where it is one."""
    turns = fraction_or_float(angle / math.pi)
    return number(angle) if isinstance(turns, float) else _of_pi(turns)


def _quotient(value: Fraction | float, by: Expr) -> Expr:
    """value / by, with one denominator."""
    if isinstance(value, float):
        return divide(number(value), by)
    return divide(number(value.numerator), multiply(number(value.denominator), by))


def _of_pi(value: Fraction | float) -> Expr:
    """value · π."""
    if isinstance(value, float):
        return multiply(number(value), Pi())
    if value <= 0:
        return negate(_of_pi(-value)) if value else number(0)
    return multiply(
        number(value.numerator),
        Pi(),
        *([Reciprocal(number(value.denominator))] if value.denominator > 1 else []),
    )
