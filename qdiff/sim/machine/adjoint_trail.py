"""What one thread knows of the paths of its shots; what a path is: `adjoint_shots`."""

from __future__ import annotations

from typing import NamedTuple

from qdiff.sim.machine.code import Floats, Ints

LEFT, LOGGED, USED, MADE, TARGET, BEFORE, CLOSING, SWEPT, NEEDED, FINE = range(10)
MARKS = 10
"""Entries of `Trail.marks`: the node where the tree was left, entries and floats in the log, entries of the
segment so far, where a window that is run again ends (-1: none is), how many windows came before, how the
segment ended (-1: it did not), whether it is swept, how many floats an entry needs at most, whether every op
has an entry: else its instruction has."""


class Trail(NamedTuple):
    """What one thread knows of paths.

    Attributes:
        marks: see LEFT. start, origin: counters, and (PC, STEPS, DRAWS), where the log of a segment began.
        parents: (nodes, 2) the node before, and the outcome that led from it.
        known: (states,) bits SCORED and FELT; cached: (states, 1 + G, P) the derivatives of each state's
            path.
        entries: (L, 3) instruction, outcome, where its floats begin (-1: none); states: (L, 2, D) before
            each; floats: numbers of what reads counters.
        slots: (states,) where ∂ψ of a state of the tree is, -1: it is not known; held: (1,) how many are.
        tangents: (slots, ⌈P/2⌉, D, 4) the ∂ψ in pairs of parameters, first those of |0…0⟩.
        waves: (pairs, D, 4) the λ in pairs: the score's, then one for each O_m; active: (1 + G,).
        spare, room: (D, 4) room for states; on large registers `room` has as many rows as a matrix.
        outer: (pairs, 2M, 4) Σ |ψ⟩⟨λ| for the M numbers of all ops, see `adjoint_passes.collect`;
            touched: (ops,) where it is not 0.
        found: (1 + G, P) the derivatives of a path. derivs: (P,) of an angle or a probability.
    """

    marks: Ints
    start: Ints
    origin: Ints
    parents: Ints
    known: Ints
    cached: Floats
    slots: Ints
    held: Ints
    tangents: Floats
    entries: Ints
    states: Floats
    floats: Floats
    waves: Floats
    active: Ints
    spare: Floats
    room: Floats
    outer: Floats
    touched: Ints
    found: Floats
    derivs: Floats
