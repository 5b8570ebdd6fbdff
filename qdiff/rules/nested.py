"""The second derivative of a primitive: its rule applied to the terms of its rule.

    d²E_a/da² = Σ_j c_j'(a) F_j + Σ_j c_j dF_j/da,

where F_j depends on a through gates in its block, which the same rule differentiates.
"""

from __future__ import annotations

from dataclasses import replace

from qdiff.lang.expr import Counter, Expr, Parameter, is_number, multiply
from qdiff.lang.tree import Assign, Block, Gate, Statement
from qdiff.rules.primitive import GateKind, Kind, Primitive, kind_of
from qdiff.rules.term import Rule, Term
from qdiff.rules.workspace import Workspace

PLACEHOLDER = "argument of the primitive"  # no parameter can be declared under this name


def second_terms(
    rule: Rule, primitive: Primitive, kind: Kind, argument: Expr, workspace: Workspace
) -> tuple[Term, ...]:
    """Return the terms of d²E_a/da² by a rule at one primitive: its own, or those of the rule twice."""
    own = rule.second(primitive, kind, argument, workspace)
    return applied_twice(rule, primitive, kind, argument, workspace) if own is None else own


def applied_twice(
    rule: Rule, primitive: Primitive, kind: Kind, argument: Expr, workspace: Workspace
) -> tuple[Term, ...]:
    """Return the terms of d²E_a/da² by a rule applied to its own terms."""
    here = Parameter(PLACEHOLDER)
    found: list[Term] = []
    for term in rule.terms(_with_argument(primitive, here), kind, here, workspace):
        slope = term.coefficient.diff(PLACEHOLDER)
        if not is_number(slope, 0):
            found.append(Term(slope, term.block, term.signed))
        for i, statement in enumerate(term.block):
            if not isinstance(statement, Gate) or PLACEHOLDER not in _parameters(statement):
                continue
            for inner in rule.terms(
                statement, _kind(statement, kind, workspace), statement.angles[0], workspace
            ):
                parts = (*term.block[:i], *inner.block, *term.block[i + 1 :])
                if inner.signed and term.signed:
                    parts = _with_both_signs(term.block[:i], inner.block, term.block[i + 1 :], workspace)
                coefficient = multiply(term.coefficient, inner.coefficient)
                found.append(Term(coefficient, parts, term.signed or inner.signed))
    put_back = {PLACEHOLDER: argument}
    return tuple(
        [
            Term(
                term.coefficient.substitute(put_back),
                tuple([_substituted(s, put_back) for s in term.block]),
                term.signed,
            )
            for term in found
        ]
    )


def _with_both_signs(before: Block, inner: Block, after: Block, workspace: Workspace) -> Block:
    """Both blocks leave a sign in `hit`: keep the first, and multiply at the end."""
    hit, first = workspace.hit, workspace.sign
    keep = Assign(first, Counter(hit))
    product = Assign(hit, multiply(Counter(first), Counter(hit)))
    return (*before, *inner, keep, *after, product)


def _kind(gate: Gate, kind: Kind, workspace: Workspace) -> Kind:
    """The kind of a gate of the block: that of the primitive, or of a gate that the rule declared."""
    assert isinstance(kind, GateKind)
    if gate.name == kind.record.name:
        return kind
    return kind_of(gate, workspace.completed(workspace.program))


def _with_argument(primitive: Primitive, argument: Expr) -> Primitive:
    if isinstance(primitive, Gate):
        return replace(primitive, angles=(argument,))
    return replace(primitive, probability=argument)


def _parameters(gate: Gate) -> frozenset[str]:
    return frozenset().union(*(angle.parameters() for angle in gate.angles))


def _substituted(statement: Statement, values: dict[str, Expr]) -> Statement:
    if isinstance(statement, Gate) and statement.angles:
        return replace(statement, angles=tuple([angle.substitute(values) for angle in statement.angles]))
    return statement
