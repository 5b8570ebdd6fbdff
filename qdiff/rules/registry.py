"""The registry of replacement rules, and the choice among them.

A missing rule is an error that names the gate and the way out, never a zero derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from qdiff.errors import QdiffError, did_you_mean, listed
from qdiff.lang.tree import Program
from qdiff.rules import kinds
from qdiff.rules.primitive import GateKind, Kind
from qdiff.rules.term import Rule

R = TypeVar("R", bound=type[Rule])

_RULES: dict[str, Rule] = {}
SELECTIONS = {
    "shift": ("two-term", "equidistant", "least-l1", "stochastic"),
    "shift-paper": ("two-term", "four-term-paper"),
}
DEFAULT_RULE = "shift"
COSTS = ("shots", "qubits")
EQUAL_L1 = 1e-9  # relative


def register(cls: R) -> R:
    """Add a rule to the registry; a name is given once."""
    if cls.name in _RULES or cls.name in SELECTIONS:
        raise QdiffError(f"The rule `{cls.name}` is registered already.")
    _RULES[cls.name] = cls()
    return cls


def rules() -> tuple[Rule, ...]:
    """Return all rules, in the order of the documentation."""
    return tuple(_RULES.values())


def names() -> tuple[str, ...]:
    """Return the names that `qd.differentiate` takes: selections of rules, and single rules."""
    return (*SELECTIONS, *_RULES)


def applicable(
    primitive: str | Kind, *, controls: int | None = None, program: Program | None = None
) -> tuple[Rule, ...]:
    """Return the rules that apply to a primitive, in the order of the documentation.

    Args:
        primitive, controls, program: a gate, channel or `flip`, as for `kind`.

    Raises:
        QdiffError: as of `kind`.
    """
    kind = kinds.kind(primitive, controls=controls, program=program)
    return tuple([rule for rule in _RULES.values() if not rule.refusal(kind)])


def checked_name(name: object) -> str:
    """Return the name of a rule or a selection.

    Raises:
        QdiffError: there is none of that name; the nearest is suggested.
    """
    if isinstance(name, str) and name in names():
        return name
    hint = did_you_mean(name, names()) if isinstance(name, str) else ""
    raise QdiffError(f"There is no rule {name!r}. Rules: {', '.join(names())}. {hint}".rstrip())


def select(
    name: str, primitive: str | Kind, *, controls: int | None = None, program: Program | None = None
) -> Rule:
    """Return the rule that a name stands for at a primitive: what `qd.differentiate` uses there.

    `flip` and channels always use their own rule. Among the rules of a selection the one with the
    least L1 is taken, then with the fewest terms.

    Args:
        name: of a selection or a rule, one of `names()`.
        primitive, controls, program: a gate, channel or `flip`, as for `kind`.

    Raises:
        QdiffError: no such rule; none applies: names the gate, the reason, the rules that do; as of `kind`.
    """
    named = checked_name(name)
    kind = kinds.kind(primitive, controls=controls, program=program)
    candidates = SELECTIONS.get(named, (named,)) if isinstance(kind, GateKind) else tuple(_RULES)
    found = [_RULES[candidate] for candidate in candidates if not _RULES[candidate].refusal(kind)]
    if found:
        return _cheapest(found, kind)
    reasons = "; ".join(f"{candidate}: {_RULES[candidate].refusal(kind)}" for candidate in candidates)
    others = ", ".join(rule.name for rule in applicable(kind))
    why = reasons.partition(": ")[2] if len(candidates) == 1 else reasons
    raise QdiffError(
        f"The rule `{name}` does not apply to `{kind.name}`: {why}. Rules that do: {others or 'none'}."
    )


def choose(
    primitive: str | Kind,
    cost: str = "shots",
    *,
    controls: int | None = None,
    program: Program | None = None,
) -> Rule:
    """Return the cheapest rule for a primitive.

    Args:
        primitive: its name as it is written (`"Ry"`, `"C_Ry"`, `"R_XZY"`, `"damp"`, `"flip"`), or a kind.
        cost: "shots": least L1 = Σ|c_j| (the standard deviation of an estimate grows with it), then
            the fewest extra qubits, then the fewest terms; "qubits": the fewest extra qubits first.
        controls: how many the gate has, if not 0, or 1 after `C_`.
        program: where the gate is declared.

    Returns:
        A rule; `str()` is its name and formula. `.l1(kind)`, `.ancillas(kind)` and `.size(kind)` are what it
        costs at a kind.

    Raises:
        QdiffError: no such cost; no rule at all; as of `kind`.
    """
    if cost not in COSTS:
        raise QdiffError(f"The cost is one of {listed(COSTS)}, not {cost!r}.")
    kind = kinds.kind(primitive, controls=controls, program=program)
    found = applicable(kind)
    if not found:
        raise QdiffError(f"There is no rule for `{kind.name}`.")
    if cost == "qubits":
        fewest = min(rule.ancillas(kind) for rule in found)
        found = tuple([rule for rule in found if rule.ancillas(kind) == fewest])
    return _cheapest(found, kind)


def _cheapest(found: Sequence[Rule], kind: Kind) -> Rule:
    """The rule with the least L1; among equals the fewest extra qubits, then the fewest terms."""
    least = min(rule.l1(kind) for rule in found)
    equal = [rule for rule in found if rule.l1(kind) <= least * (1 + EQUAL_L1)]
    return min(equal, key=lambda rule: (rule.ancillas(kind), rule.size(kind)))
