"""Replacement rules: how a primitive that depends on a parameter is differentiated by running programs."""

# They fill the registry, in the order of the documentation.
from qdiff.rules import shift_rules, stochastic  # noqa: F401

# isort: split
from qdiff.rules import gadgets, mixtures  # noqa: F401

# isort: split
from qdiff.rules.registry import applicable, choose, names, rules, select

__all__ = ["applicable", "choose", "names", "rules", "select"]
