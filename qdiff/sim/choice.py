"""Which exact engine answers for a program, and why: a cost model that anyone can read.

Of n qubits, V meeting points with the stores that reach them (see `reachable`), B branches with G gates
in all,

    pure-state   2 · 16·2ⁿ bytes, a value 1        gates · 2ⁿ      where nothing is random
    branching    (states at the splits) · 16·2ⁿ    G · 2ⁿ          inf where branches cannot be counted;
                                                                    where every channel is a mixture
    hybrid       (2V + basis) · 8·4ⁿ               V · gates / points · 4ⁿ

in units of one gate on one amplitude in a compiled kernel; the same in NumPy counts `NUMPY` times.
Merging makes branches fewer than counted here. The compiled engines add a fixed start, what importing Numba
takes spread over calls, so that small programs stay where there is nothing to load: the branching engine over
those of a short training run, the pure-state engine, which answers in hundredths of a millisecond, over
thousands. The cheapest engine whose states fit is chosen. Everything is a
function of the program, of the observables, and of sizes, so the same engine answers at every call.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from qdiff.errors import QdiffError, ResourceError, did_you_mean, listed
from qdiff.lang.matrix_observable import MatrixObservable, in_letters
from qdiff.lang.observable import Observable
from qdiff.lang.tree import Program
from qdiff.sim.census import Census, Size, size_of
from qdiff.sim.exact import OR_FROM_SHOTS
from qdiff.sim.randomness import what_is_random
from qdiff.sim.sizes import size_text

PURE, BRANCHING, HYBRID = "pure-state", "branching", "hybrid"
NAMES = (HYBRID, PURE, BRANCHING)

COMPILED_START = 5e7  # a second of importing, over fifteen calls
PURE_START = 2e4  # half a second, over some thousand calls
HYBRID_START = 1e4
NUMPY = 8
LEAST_MATRICES = 4  # complex; those of vertices are kept as as many real numbers
KRYLOV_BASIS = 32
NO_LETTERS = "an observable is a matrix that is no short sum of Pauli terms"
TWO_SIDES = 2  # a density matrix is multiplied from both


@dataclass(frozen=True)
class Candidate:
    """What one engine would need for one program.

    Attributes:
        name: of the engine.
        refusal: why it cannot answer, "" if it can.
        operations: gates on an amplitude for a value with all derivatives; inf where it is not known.
        least: bytes it needs at any rate. likely: bytes it is expected to need, inf where not known.
    """

    name: str
    refusal: str
    operations: float
    least: int
    likely: float

    def fits(self, max_memory: int) -> bool:
        """Whether it can answer, and its states may fit."""
        return not self.refusal and self.least <= max_memory

    def risk(self, max_memory: int) -> int:
        """0 where its states are expected to fit, 1 where that is not known, 2 where they are not."""
        if self.likely <= max_memory:
            return 0
        return 2 if math.isfinite(self.likely) else 1

    def __str__(self) -> str:
        if self.refusal:
            return f"{self.name}: {self.refusal}"
        work = f"about {self.operations:.1e} operations" if math.isfinite(self.operations) else "work unknown"
        memory = max(self.likely, self.least)
        bytes_ = size_text(memory) if math.isfinite(memory) else f"{size_text(self.least)} or more"
        return f"{self.name}: {work}, {bytes_}"


@dataclass(frozen=True)
class Choice:
    """The engine that answers, and the candidates it was chosen from."""

    name: str
    reason: str
    candidates: tuple[Candidate, ...]

    @property
    def operations(self) -> float:
        """Of the engine that answers, as of `Candidate`; inf where nothing is known of it."""
        return next((each.operations for each in self.candidates if each.name == self.name), math.inf)


def choose(
    program: Program,
    max_memory: int,
    wanted: str | None = None,
    observables: Collection[Observable] | None = None,
) -> Choice:
    """Return the engine for a program.

    Args:
        max_memory: bytes that states may take.
        wanted: an engine asked for by name; None leaves the choice to the cost model.
        observables: what is asked for; None where it is all final stores.

    Raises:
        ResourceError: no engine's states can fit; lists what each would need.
        QdiffError: there is no engine of the name, or it cannot answer for the program.
    """
    candidates = candidates_for(program, observables)
    if wanted is not None:
        name = engine_name(wanted)
        asked = next(c for c in candidates if c.name == name)
        if asked.refusal:
            able = listed(c.name for c in candidates if not c.refusal)
            raise QdiffError(
                f"The {name} engine cannot answer for this program: {asked.refusal}. "
                f"Engines that can: {able}."
            )
        return Choice(name, f"asked for by name ({_compared(candidates)})", candidates)
    able_to_fit = [c for c in candidates if c.fits(max_memory)]
    if not able_to_fit:
        needs = "".join(f"\n  {c.name}: {c.refusal or 'at least ' + size_text(c.least)}" for c in candidates)
        raise ResourceError(
            f"No exact engine has room for this program on {len(program.qubits)} qubits; the limit is "
            f"{size_text(max_memory)}.{needs}\nRaise it (qd.expectation(…, max_memory=bytes))",
            advice=OR_FROM_SHOTS,
        )
    best = min(able_to_fit, key=lambda c: (c.risk(max_memory), c.operations))
    others = [c for c in candidates if c is not best]
    return Choice(best.name, f"{_why(best, others, max_memory)} ({_compared(candidates)})", candidates)


def engine_name(wanted: str) -> str:
    """Return the name of an engine as engines call themselves: "Pure state" is "pure-state".

    Raises:
        QdiffError: there is none; lists those that exist.
    """
    plain = str(wanted).strip().lower().replace(" ", "-").replace("_", "-")
    if plain not in NAMES:
        hint = did_you_mean(str(wanted), NAMES)
        raise QdiffError(f"There is no engine `{wanted}`. Engines: {listed(NAMES)}. {hint}".rstrip())
    return plain


def candidates_for(
    program: Program, observables: Collection[Observable] | None = None
) -> tuple[Candidate, ...]:
    """Return what each engine would need, whether or not it can answer; arguments as of `choose`.

    Raises:
        ResourceError: a matrix that only the pure-state engine takes, and a program that it does not.
    """
    matrices = [o for o in observables or () if isinstance(o, MatrixObservable) and not o.can_expand]
    if matrices and what_is_random(program):
        in_letters(matrices[0])  # raises: the other engines need letters
    size = size_of(program, observables)
    found = _hybrid(size), _pure(size), _branching(size)
    if not matrices:
        return found
    return tuple(c if c.name == PURE else replace(c, refusal=c.refusal or NO_LETTERS) for c in found)


# --- What each needs ----------------------------------------------------------------------------


def _hybrid(size: Size) -> Candidate:
    whole = size.whole
    matrices = 2 * size.vertices + (KRYLOV_BASIS if whole.unbounded else 0)
    solves = KRYLOV_BASIS if whole.unbounded else 1
    stores = size.vertices / size.points  # at a point, on average
    return Candidate(
        name=HYBRID,
        refusal="",
        operations=HYBRID_START
        + NUMPY * TWO_SIDES * solves * stores * (1 + whole.gates) * _real(4**size.qubits),
        least=16 * 4**size.qubits * LEAST_MATRICES,
        likely=_real(4**size.qubits) * max(16 * LEAST_MATRICES, 8 * matrices),
    )


def _pure(size: Size) -> Candidate:
    state = 16 * 2**size.qubits
    return Candidate(
        name=PURE,
        refusal=f"the program has {size.random}" if size.random else "",
        operations=PURE_START + _forwards_and_back(size.whole.gates, size),
        least=state,  # a value
        likely=2 * _real(state),  # derivatives
    )


def _branching(size: Size) -> Candidate:
    whole: Census = size.whole
    vectors = 3 * 16 * 2**size.qubits
    return Candidate(
        name=BRANCHING,
        refusal=f"the program has {size.inseparable}" if size.inseparable else "",
        operations=COMPILED_START + _forwards_and_back(whole.work, size),
        least=vectors,
        likely=max(_real(vectors), 16 * (1 + whole.nodes) * _real(2**size.qubits)),
    )


def _forwards_and_back(gates: float, size: Size) -> float:
    return 3 * (1 + gates) * _real(2**size.qubits)


# --- In words -----------------------------------------------------------------------------------


def _why(best: Candidate, others: Sequence[Candidate], max_memory: int) -> str:
    rivals = [c for c in others if c.fits(max_memory)]
    if not rivals:
        return "the only engine whose states can fit"
    if any(c.likely <= max_memory for c in rivals):
        return "the least work of the engines whose states fit"
    return "the only engine sure to fit" if not best.risk(max_memory) else "the likeliest engine to fit"


def _compared(candidates: Sequence[Candidate]) -> str:
    return "; ".join(map(str, candidates))


def _real(number: int) -> float:
    return float(number) if number.bit_length() < 1000 else math.inf
