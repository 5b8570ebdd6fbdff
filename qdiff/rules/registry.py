"""The registry of replacement rules, and the choice among them.

A missing rule is an error that names the gate and the way out, never a zero derivative.
"""

from __future__ import annotations

from typing import TypeVar

from qdiff.errors import QdiffError, did_you_mean, listed
from qdiff.lang.gates import record
from qdiff.rules.primitive import ChannelKind, FlipKind, GateKind, Kind
from qdiff.rules.term import Rule

R = TypeVar("R", bound=type[Rule])

_RULES: dict[str, Rule] = {}
SELECTIONS = {
    "shift": ("two-term", "equidistant", "least-l1", "stochastic"),
    "shift-paper": ("two-term", "four-term-paper"),
}
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


def applicable(kind: Kind) -> tuple[Rule, ...]:
    """Return the rules that apply to a kind of primitive."""
    return tuple([rule for rule in _RULES.values() if not rule.refusal(kind)])


def checked_name(name: object) -> str:
    """Return the name of a rule or a selection.

    Raises:
        QdiffError: there is none of that name; the nearest is suggested.
    """
    if isinstance(name, str) and name in names():
        return name
    hint = did_you_mean(name, names()) if isinstance(name, str) else ""
    raise QdiffError(f"There is no rule {name!r}. Rules: {listed(names())}. {hint}".rstrip())


def select(name: str, kind: Kind) -> Rule:
    """Return the rule that a name stands for at a kind of primitive.

    `flip` and channels always use their own rule. Among the rules of a selection the one with the
    least L1 is taken, then with the fewest terms.

    Raises:
        QdiffError: none applies; names the gate, the reason, the rules that do.
    """
    candidates = SELECTIONS.get(checked_name(name), (name,)) if isinstance(kind, GateKind) else tuple(_RULES)
    found = [_RULES[candidate] for candidate in candidates if not _RULES[candidate].refusal(kind)]
    if found:
        return min(found, key=lambda rule: _shots(rule, kind))
    reasons = "; ".join(f"{candidate}: {_RULES[candidate].refusal(kind)}" for candidate in candidates)
    others = listed(rule.name for rule in applicable(kind))
    why = reasons.partition(": ")[2] if len(candidates) == 1 else reasons
    raise QdiffError(
        f"The rule `{name}` does not apply to `{kind.name}`: {why}. Rules that do: {others or 'none'}."
    )


def choose(gate: str | Kind, cost: str = "shots") -> Rule:
    """Return the cheapest rule for a gate.

    Args:
        gate: its name, `C_` in front for one control (`"Ry"`, `"C_Ry"`, `"R_XZY"`), or a kind.
        cost: "shots": least L1 = Σ|c_j| (the standard deviation of an estimate grows with it), then
            the fewest extra qubits, then the fewest terms; "qubits": the fewest extra qubits first.

    Returns:
        A rule: `.name`, `.summary`, `.formula`, and for a kind `.l1`, `.coefficients`, `.ancillas`.

    Raises:
        QdiffError: no such gate or cost; a gate without an angle, or with several.
    """
    if cost not in COSTS:
        raise QdiffError(f"The cost is one of {listed(COSTS)}, not {cost!r}.")
    if not isinstance(gate, str | GateKind | FlipKind | ChannelKind):
        raise QdiffError(f"A rule is chosen for the name of a gate, such as `C_Ry`, not for {gate!r}.")
    kind = _kind(gate) if isinstance(gate, str) else gate
    found = applicable(kind)
    if cost == "shots":
        return min(found, key=lambda rule: _shots(rule, kind))
    return min(found, key=lambda rule: (rule.ancillas(kind), *_shots(rule, kind)))


def _shots(rule: Rule, kind: Kind) -> tuple[int, int, int]:
    return round(rule.l1(kind) / EQUAL_L1), rule.ancillas(kind), rule.size(kind)


def _kind(name: str) -> GateKind:
    entry = record(name.removeprefix("C_"))
    if len(entry.angles) != 1:
        several = "several: choose a rule for each of its primitives" if entry.angles else "none"
        raise QdiffError(f"A rule is for one angle; gate `{name}` has {several}.")
    return GateKind(entry, entry.controls + name.startswith("C_"))
