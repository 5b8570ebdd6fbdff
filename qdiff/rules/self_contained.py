"""The self-contained rendering: a coin decides at each occurrence whether it is the one replaced.

At the k-th occurrence a coin qubit falls with the hazard h(k) = μ(k) / (1 - Σ_{i<k} μ(i)), so that
occurrence K is replaced with probability μ(K); further coins draw the term with probability |c_j|/L1.
K, the site and the term end up in counters, and

    ∂f/∂θ = E[ L1·sign(c_j)·∂a/∂θ / μ(K) · hit · O ],      hit = 0 where nothing was replaced.

μ is the published log-power law 1/(Z k ln^{1+δ}(k+e)), whose tail keeps the variance finite whenever the
number of occurrences has a second moment, or the geometric law h(1-h)^(k-1). Source: Fang, Ying and Wu,
"Differentiable quantum programming with unbounded loops" (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple

from qdiff.errors import QdiffError, listed
from qdiff.lang.expr import (
    ONE,
    ZERO,
    Call,
    Counter,
    Expr,
    Indicator,
    LogPowerHazard,
    Power,
    add,
    divide,
    multiply,
    negate,
    number,
)
from qdiff.lang.logpower import delta_problem, normaliser
from qdiff.lang.tree import Assign, Block, Gate, If, Measured, Program, Reset, Statement
from qdiff.rules.primitive import Kind
from qdiff.rules.printed import printed
from qdiff.rules.recording import Recorder
from qdiff.rules.sites import SHARED, Site, replaced_at
from qdiff.rules.statements import compare
from qdiff.rules.term import Rule
from qdiff.rules.weights import Weighted, Weights, site_weights
from qdiff.rules.workspace import Workspace

SHAPES = {"log-power": 0.25, "geometric": 0.5}  # law → its shape if none is given; δ as published
LAWS = tuple(SHAPES)
ROUNDED = 1e-15  # relative


@dataclass(frozen=True)
class Law:
    """How the replaced occurrence K is distributed.

    Args:
        name: "log-power" or "geometric".
        shape: δ of the log-power law, 0 < δ ≤ 10, or the hazard 0 < h < 1 of the geometric one: h = 1 would
            replace the first occurrence only.

    Raises:
        QdiffError: another law, or a shape out of range.
    """

    name: str = "log-power"
    shape: float = SHAPES["log-power"]

    def __post_init__(self) -> None:
        if self.name not in LAWS:
            raise QdiffError(f"The law of the occurrence is one of {listed(LAWS)}, not {self.name!r}.")
        if not isinstance(self.shape, int | float):
            raise QdiffError(f"The shape of a law is a number, got {self.shape!r}.")
        problem = delta_problem(self.shape) if self.name == "log-power" else ""
        if problem:
            raise QdiffError(f"{problem[:1].upper()}{problem[1:]}")
        if self.name == "geometric" and not 0 < self.shape < 1:
            raise QdiffError(f"The geometric law needs a hazard above 0 and below 1, got {self.shape!r}.")

    def hazard(self, k: Expr) -> Expr:
        """h(k)."""
        if self.name == "geometric":
            return number(self.shape)
        return LogPowerHazard(k, number(self.shape))

    def inverse(self, k: Expr) -> Expr:
        """1/μ(k)."""
        if self.name == "geometric":
            left = Power(add(ONE, negate(number(self.shape))), add(k, number(-1)))
            return divide(ONE, multiply(number(self.shape), left))
        logarithm = Call("log", add(k, Call("exp", ONE)))
        return multiply(number(normaliser(self.shape)), k, Power(logarithm, number(1 + self.shape)))


@dataclass(frozen=True)
class SelfContained(Weighted):
    """A derivative program that draws its own occurrence and term; its weight is ±L1/μ(K)·∂a/∂θ.

    Attributes:
        program: without inputs.
        law: how the occurrence is drawn.
        occurrence: the counter that holds K at the end.
    """

    program: Program = field(repr=False)
    law: Law
    occurrence: str
    _weights: Weights = field(repr=False)

    def __str__(self) -> str:
        return printed(self._weights.lines(), self.program)


def self_contained(program: Program, sites: Sequence[Site], law: Law) -> SelfContained:
    """Return the self-contained derivative program of some sites; they are in printed order."""
    workspace = Workspace(program)
    coin = workspace.qubit("coin")
    occurrence = workspace.counter("k")
    term = workspace.counter("j")
    which = workspace.counter("site")
    record = Recorder(workspace)
    k = Counter(occurrence)

    def drawn(site: Site, same: Block) -> Block:
        blocks = site.replacements(workspace)
        chances = _shares(site.rule, site.kind, site.argument).chances
        undrawn = compare(workspace.hit, "=", 0)
        choices: list[Statement] = []
        for j, block in enumerate(blocks):
            this: Block = (Assign(term, number(j)), *block)
            if j < len(blocks) - 1:
                this = (*_toss(coin, chances[j]), If(Measured((coin,), 1), this))
            choices.extend((If(undrawn, this),) if j else this)
        heads = (Assign(which, number(site.number)), *record.noted(site.read), *choices)
        undecided = compare(which, "=", 0)
        step = Assign(occurrence, add(k, ONE))
        tossed = (step, *_toss(coin, law.hazard(k)), If(Measured((coin,), 1), heads, same))
        return (If(undecided, tossed, same),)

    made = replaced_at(program, sites, drawn, workspace)
    inverse = law.inverse(k)

    @cache
    def coefficients(rule: Rule, kind: Kind, argument: Expr, slope: Expr) -> tuple[Expr, ...]:
        weights = _shares(rule, kind, argument).weights
        return tuple([multiply(record.over(multiply(weight, slope)), inverse) for weight in weights])

    found = [coefficients(site.rule, site.kind, site.argument, site.slope) for site in sites]
    weights = site_weights(made, sites, (which, term, workspace.hit), found)
    return SelfContained(made, law, occurrence, weights)


class _Shares(NamedTuple):
    """How the term is drawn at a site.

    Attributes:
        chances: of each term but the last, if none before it was drawn: |c_j| / Σ_{i≥j} |c_i|.
        weights: ±L1 of each term.
    """

    chances: tuple[Expr, ...]
    weights: tuple[Expr, ...]


@lru_cache(maxsize=SHARED)
def _shares(rule: Rule, kind: Kind, argument: Expr) -> _Shares:
    coefficients = rule.coefficients(kind, argument)
    sizes = [_simplest(Call("abs", c)) for c in coefficients]
    chances = [_simplest(divide(sizes[j], add(*sizes[j:]))) for j in range(len(sizes) - 1)]
    l1 = _simplest(add(*sizes)) if sizes else ZERO
    signs = [_simplest(_sign(c, size)) for c, size in zip(coefficients, sizes, strict=True)]
    return _Shares(tuple(chances), tuple([multiply(l1, sign) for sign in signs]))


def _sign(coefficient: Expr, size: Expr) -> Expr:
    """c/|c|; 0 where c = 0: such a term is drawn with probability 0, and must not fail."""
    if coefficient.parameters() or coefficient.counters():
        size = add(size, Indicator(coefficient, 0))
    return divide(coefficient, size)


def _simplest(expression: Expr) -> Expr:
    """A constant expression as its number, an integer or a half where it is one but for rounding."""
    if expression.parameters() or expression.counters():
        return expression
    value = float(expression.evaluate())
    twice = round(2 * value)
    if abs(2 * value - twice) > ROUNDED * abs(value):
        return number(value)
    return number(twice // 2) if twice % 2 == 0 else divide(number(twice), number(2))


def _toss(coin: str, chance: Expr) -> Block:
    """Statements after which the coin reads 1 with the given probability."""
    angle = multiply(number(2), Call("asin", Call("sqrt", chance)))
    return (Reset(coin), Gate("Ry", (angle,), (), (coin,)))
