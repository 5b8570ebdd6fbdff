"""Which terms of an observable one run can read together."""

from __future__ import annotations

from qdiff.lang.observable import Observable, Term
from qdiff.lang.pauli_algebra import DIAGONAL


def qubitwise_groups(observable: Observable) -> tuple[tuple[Term, ...], ...]:
    """Group terms that one run can read together: in a group each qubit has one measurement basis.

    Z, P0 and P1 share the Z basis; terms without operators join the first group. First fit in the
    order of the terms.
    """
    groups: list[list[Term]] = []
    bases: list[dict[str, str]] = []
    for term in observable.terms:
        needed = {qubit: "Z" if x in DIAGONAL else x for qubit, x in term.operators}
        for group, basis in zip(groups, bases, strict=True):
            if all(basis.get(qubit, x) == x for qubit, x in needed.items()):
                group.append(term)
                basis.update(needed)
                break
        else:
            groups.append([term])
            bases.append(needed)
    return tuple(tuple(group) for group in groups)
