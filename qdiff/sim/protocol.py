"""What a backend is: it prepares programs and runs them; one with tangents differentiates its runs, too.

    prepared = backend.prepare(program, readout)       # lowers the tree, once
    [outcomes] = backend.run([Job(prepared, params, shots=1000, seed=7)])

A `Readout` says what is read when a run ends: which qubits are measured and in which bases, or of which
observables the final state gives the expectation. A `Job` says how often to run, with which
numbers. `Outcomes` are what the runs left behind, aborted ones included: every average is over all
shots. Whoever wants runs asks `Backend.capabilities` first (`qdiff.sim.registry.require`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import ParameterError, QdiffError, listed
from qdiff.sim.seeds import SEEDS, checked_seed, checked_shots, integer

if TYPE_CHECKING:
    from qdiff.lang.observable import Observable
    from qdiff.lang.tree import Program


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do.

    Attributes:
        loops: `while` without a bound.
        nested_ifs: an `if` or `case` inside a branch or a loop; a bounded `while` (it is nested ifs).
        counters: assignments to counters, and counters in conditions and angles.
        reset: `q := |0>` in the middle of a program.
        flip: conditions that are true with a given probability.
        mid_circuit_measurement: measurements before the end, and branching on them.
        noise: channels.
        expectations: `Readout.expectations`, one number a shot without measuring.
        tangents: derivatives of runs, `TangentBackend`.
        inputs_by_shot: an array of start values, one for each shot, in `Job.inputs`.
    """

    loops: bool = False
    nested_ifs: bool = False
    counters: bool = False
    reset: bool = False
    flip: bool = False
    mid_circuit_measurement: bool = False
    noise: bool = False
    expectations: bool = False
    tangents: bool = False
    inputs_by_shot: bool = False

    def lacking(self, needed: Iterable[str]) -> tuple[str, ...]:
        """The names in `needed` that are not there, in the order given."""
        return tuple(name for name in needed if not getattr(self, name))

    def __str__(self) -> str:
        return ", ".join(f.name.replace("_", " ") for f in fields(self) if getattr(self, f.name)) or "nothing"


@dataclass(frozen=True)
class Readout:
    """What is read when a run has ended without aborting.

    Attributes:
        qubits: these are measured, in this order; none by default.
        bases: one letter X, Y or Z per qubit; Z for all by default. Bit 0 is the eigenvalue +1.
        expectations: observables of which each shot gives ⟨ψ|O|ψ⟩ of its final state in place of
            measured bits (capability `expectations`).
    """

    qubits: tuple[str, ...] = ()
    bases: str = ""
    expectations: tuple[Observable, ...] = ()

    def __post_init__(self) -> None:
        if not self.bases:
            object.__setattr__(self, "bases", "Z" * len(self.qubits))
        if len(self.bases) != len(self.qubits) or set(self.bases) - set("XYZ"):
            raise QdiffError(
                f"A read-out needs one basis letter X, Y or Z for each of its {len(self.qubits)} qubits, "
                f"got {self.bases!r}."
            )
        if len(set(self.qubits)) != len(self.qubits):
            raise QdiffError(f"A read-out measures each qubit once, got {', '.join(self.qubits)}.")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A program made ready by one backend.

    Attributes:
        backend: the name of that backend; no other may run it.
        program, readout: what was prepared.
        lowered: whatever that backend made of them; nobody else looks inside.
    """

    backend: str
    program: Program
    readout: Readout
    lowered: object = None


@dataclass(frozen=True, eq=False)
class Job:
    """Run a prepared program a number of times.

    The outcome of shot i depends on (`seed`, i) only: shots 0 … n-1 may be split into jobs with
    different `first`, and run anywhere in any order.

    Attributes:
        prepared: what to run.
        params: the value of every parameter of the program, by element name.
        shots: how many runs, at least 1.
        seed: 0 … 2⁶⁴ - 1.
        inputs: integer inputs: start values of counters by name, one for all shots or an array with one
            for each shot (int64 (shots,), any kind of integers is taken; capability `inputs_by_shot`);
            all others start at 0. A family of derivative programs is one program with the inputs (k, j).
        first: the index of the first shot; entry i of an array of inputs is that of shot first + i.
    """

    prepared: Prepared
    params: Mapping[str, float]
    shots: int
    seed: int
    inputs: Mapping[str, int | NDArray[np.int64]] = field(default_factory=dict)
    first: int = 0

    def __post_init__(self) -> None:
        program = self.prepared.program
        missing = [name for name in program.parameters if name not in self.params]
        if missing:
            raise ParameterError(f"A job needs a value for every parameter; missing: {listed(missing)}.")
        foreign = [name for name in self.inputs if name not in program.counters]
        if foreign:
            raise QdiffError(f"Integer inputs are start values of counters; no counter: {listed(foreign)}.")
        if self.seed is None:
            raise QdiffError("A job needs a seed: results carry it.")
        first = integer(self.first)
        if first is None or not 0 <= first < SEEDS:
            raise QdiffError(
                f"The index of the first shot must be an integer from 0 to 2^64 - 1, got {self.first!r}."
            )
        shots = checked_shots(self.shots)
        inputs = {name: _checked_input(name, value, shots) for name, value in self.inputs.items()}
        object.__setattr__(self, "first", first)
        object.__setattr__(self, "shots", shots)
        object.__setattr__(self, "seed", checked_seed(self.seed))
        object.__setattr__(self, "params", dict(self.params))
        object.__setattr__(self, "inputs", inputs)

    @property
    def inputs_by_shot(self) -> tuple[str, ...]:
        """The names of the inputs that are given for each shot."""
        return tuple(name for name, value in self.inputs.items() if isinstance(value, np.ndarray))


def _checked_input(name: str, value: object, shots: int) -> int | NDArray[np.int64]:
    """Return an integer input as an int, or as an array of its own that nobody can change."""
    what = f"Integer input `{name}` must be a signed 64-bit integer"
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        number = integer(value)
        if number is None or not -(2**63) <= number < 2**63:
            raise QdiffError(f"{what}, or an array with one for each shot, got {value!r}.")
        return number
    if value.dtype.kind not in "iu":
        raise QdiffError(f"{what} for each shot, got an array of {value.dtype.name}.")
    if value.shape != (shots,):
        raise QdiffError(
            f"Integer input `{name}` must have one value for each shot, shape ({shots},); got an array of "
            f"shape {value.shape}."
        )
    if (largest := int(value.max())) >= 2**63:
        raise QdiffError(f"{what} for each shot, got {largest}.")
    numbers = value.astype(np.int64)
    numbers.flags.writeable = False
    return numbers


@dataclass(frozen=True, eq=False)
class SiteRecord:
    """What a run of a derivative program recorded just before its replaced occurrence.

    Attributes:
        reached: bool (rows,): the run came to the occurrence that is replaced.
        site: int64 (rows,): which occurrence in the text it was; -1 where it was not reached.
        counters: int64 (rows, counters): the store there; it weights the term by the chain rule and
            is what a control variate may depend on.
    """

    reached: NDArray[np.bool_]
    site: NDArray[np.int64]
    counters: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What the runs of one job left behind: a row for each shot, or unique rows with their counts.

    Attributes:
        seed: of the job.
        counters: int64 (rows, counters of the program), where the run ended.
        bits: uint8 (rows, qubits of the read-out); 0 where the run was aborted or cut.
        aborted: bool (rows,): the run aborted. It counts 0 in every average.
        cut: bool (rows,): the backend stopped the run at its step limit. What it would have given is
            unknown: whoever averages must say so.
        counts: int64 (rows,), how many shots gave this row; None: each row is one shot, in order.
        expectations: float64 (rows, observables of the read-out), or None.
        before_site: what was recorded before a replaced occurrence, or None where none is replaced.
        note: what the backend did otherwise than asked, and why, or "".
    """

    seed: int
    counters: NDArray[np.int64]
    bits: NDArray[np.uint8]
    aborted: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    counts: NDArray[np.int64] | None = None
    expectations: NDArray[np.float64] | None = None
    before_site: SiteRecord | None = None
    note: str = ""

    def __post_init__(self) -> None:
        _check("counters", self.counters, np.int64, 2)
        _check("bits", self.bits, np.uint8, 2)
        _check("aborted", self.aborted, np.bool_, 1)
        _check("cut", self.cut, np.bool_, 1)
        columns: list[NDArray[Any]] = [self.counters, self.bits, self.aborted, self.cut]
        if self.counts is not None:
            _check("counts", self.counts, np.int64, 1)
            columns.append(self.counts)
        if self.expectations is not None:
            _check("expectations", self.expectations, np.float64, 2)
            columns.append(self.expectations)
        if (site := self.before_site) is not None:
            _check("before_site.reached", site.reached, np.bool_, 1)
            _check("before_site.site", site.site, np.int64, 1)
            _check("before_site.counters", site.counters, np.int64, 2)
            columns += [site.reached, site.site, site.counters]
        lengths = sorted({len(column) for column in columns})
        if len(lengths) > 1:
            raise QdiffError(f"Outcomes must have one number of rows, got {' and '.join(map(str, lengths))}.")
        if bool(np.any(self.aborted & self.cut)):
            raise QdiffError("A run is either aborted or cut, not both.")

    @property
    def weights(self) -> NDArray[np.int64]:
        """int64 (rows,): the number of shots behind each row."""
        return np.ones(len(self.aborted), dtype=np.int64) if self.counts is None else self.counts

    @property
    def shots(self) -> int:
        """The number of shots behind all rows."""
        return int(self.weights.sum())

    @property
    def finished(self) -> NDArray[np.bool_]:
        """bool (rows,): the run came to the end of the program."""
        return ~(self.aborted | self.cut)


@dataclass(frozen=True, eq=False)
class Surprises:
    """What the outcomes of runs say beyond their probabilities, in sums whose mean is 0.

        S = Σ_events h(n) · (1[the outcome is v] - p)

    over the random events of one kind (a place in the program, an outcome v), with p the probability of v
    given all that came before, and n how many events of the kind the run had before. The h of a kind are
    hats: 1 at a knot and 0 at the others, linear between, and on behind the last two. As the mean is 0 given
        what came before
    each event, a combination of these sums with coefficients that do not depend on the run may be subtracted
    from anything, and the mean stays what it is.

    Attributes:
        sums: float64 (rows, columns); 0 where the run was cut.
        kinds: int64 (columns,), ascending. knots: int64 (columns,), ascending from 0 within a kind.
    """

    sums: NDArray[np.float64]
    kinds: NDArray[np.int64]
    knots: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Gradients:
    """What the runs of one job say of derivatives: a row for each shot, in order.

    With |∂ψ⟩ the derivative of a run's state, divided by √p like the state itself at every random event,

        slopes = 2 Re⟨ψ|O|∂ψ⟩,    scores = 2 Re⟨ψ|∂ψ⟩ = Σ ∂p/p over the random events of the run,

    and the mean of slopes - b·scores is an unbiased estimate of ∂f for every number b that does not depend on
    the run's outcomes. The mean of the scores of all runs is 0 where all runs end or abort.

    Attributes:
        seed: of the job.
        values: float64 (rows, observables), ⟨ψ|O|ψ⟩ in the final state; 0 where the run was aborted or cut.
        slopes: float64 (rows, observables, parameters); 0 where the run was aborted or cut.
        scores: float64 (rows, parameters); 0 where the run was cut.
        aborted, cut: bool (rows,), as in `Outcomes`.
        surprises: see there; None from a backend that does not know them.
    """

    seed: int
    values: NDArray[np.float64]
    slopes: NDArray[np.float64]
    scores: NDArray[np.float64]
    aborted: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    surprises: Surprises | None = None


def _check(name: str, array: NDArray[np.generic], dtype: type[np.generic], dimensions: int) -> None:
    if array.dtype != dtype or array.ndim != dimensions:
        raise QdiffError(
            f"`{name}` of outcomes must be {np.dtype(dtype).name} with {dimensions} "
            f"{'axis' if dimensions == 1 else 'axes'}, got {array.dtype.name} with {array.ndim}."
        )


@runtime_checkable
class Backend(Protocol):
    """Something that runs programs. It may raise QdiffError, and lets KeyboardInterrupt pass.

    One that cuts long runs says where: an attribute `step_limit`, the most instructions of a run.
    """

    @property
    def name(self) -> str:
        """The name it is registered under."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def prepare(self, program: Program, readout: Readout) -> Prepared:
        """Lower the *tree* of a program (nobody can rebuild loops from jumps).

        Raises:
            BackendError: the program needs a capability that is not there.
            ResourceError: it would not fit in memory; nothing has been allocated.
        """

    def run(self, jobs: Sequence[Job]) -> list[Outcomes]:
        """Run all jobs and return their outcomes in the same order.

        Raises:
            EvaluationError: something had no value when it ran; the place is in the message.
        """


@runtime_checkable
class AsynchronousBackend(Backend, Protocol):
    """A backend whose jobs wait in a queue and may outlive the process that sent them."""

    def submit(self, jobs: Sequence[Job]) -> str:
        """Send all jobs and return an id under which their outcomes can be collected later."""

    def collect(self, job_id: str, *, wait: bool = True) -> list[Outcomes] | None:
        """Return the outcomes in the order of submission; None if they are not there and `wait` is False."""


@runtime_checkable
class TangentBackend(Backend, Protocol):
    """A backend whose runs carry derivatives (capability `tangents`)."""

    def prepare_gradient(
        self, program: Program, observables: Sequence[Observable], wrt: Sequence[str]
    ) -> Prepared:
        """Lower a program for derivatives of the expectations of observables by the parameters `wrt`.

        Raises:
            BackendError, ResourceError: as `Backend.prepare`.
            ParameterError: no parameter of the program, or one that occurs in a comparison.
        """

    def run_gradients(self, jobs: Sequence[Job]) -> list[Gradients]:
        """Run all jobs, prepared by `prepare_gradient`, and return what they say of derivatives in the same
        order.

        The shots are those that `Backend.run` runs with the same seeds and indices.

        Raises:
            EvaluationError: something has no value or no derivative when it runs, or a choice that is certain
                has a probability that changes; the place is in the message.
        """
