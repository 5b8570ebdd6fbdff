"""The state in which a program ends, exactly: one unnormalised mixed state for each store.

    ρ = {σ: ρ_σ},    tr ρ_σ = the probability that a run ends with the counters σ

Runs that abort or never end are in none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from qdiff.errors import QdiffError, ResourceError, did_you_mean, listed
from qdiff.lang.observable import constant
from qdiff.lang.parameters import resolve
from qdiff.lang.tree import Program
from qdiff.sim.engines import Engines
from qdiff.sim.exact import DEFAULT_MEMORY, ExactEngine, Mixture, Store
from qdiff.sim.sizes import size_text

SHOWN = 8
ROUNDING = 1e-12  # a difference of probabilities below this is rounding


@dataclass(frozen=True, eq=False, repr=False)
class HybridState:
    """The final state of a program. Made by `qd.state`.

    Attributes:
        qubits: the first is the least significant bit of a basis state.
        counters: the names that a store holds the values of, in this order.
        stores: store → `Mixture`, the most probable first: .probability, .density_matrix(), and
            .vectors (m, 2ⁿ) or None.
        aborted: probability that a run aborts.
        lost: probability that a run never ends, or was not followed to its end.
    """

    qubits: tuple[str, ...]
    counters: tuple[str, ...]
    stores: Mapping[Store, Mixture]
    aborted: float
    lost: float
    max_memory: int = field(default=DEFAULT_MEMORY)

    def __getitem__(self, store: Store | Mapping[str, int] | int) -> Mixture:
        """Return the mixture at a store: a tuple of values, a mapping by name, one value if there is one.

        Raises:
            QdiffError: a store of another form, or one in which no run ends.
        """
        key = self._key(store)
        if key not in self.stores:
            raise QdiffError(f"No run ends with {self._text(key)}. Stores: {self._listed()}.")
        return self.stores[key]

    def __iter__(self) -> Iterator[Store]:
        return iter(self.stores)

    def __len__(self) -> int:
        return len(self.stores)

    def __contains__(self, store: object) -> bool:
        return store in self.stores

    @property
    def probabilities(self) -> dict[Store, float]:
        """Store → probability that a run ends with it."""
        return {store: mixture.probability for store, mixture in self.stores.items()}

    @property
    def termination_probability(self) -> float:
        """Probability that a run ends, the sum over the stores."""
        return float(sum(self.probabilities.values()))

    def density_matrix(self) -> NDArray[np.complex128]:
        """Return Σ_σ ρ_σ, complex (2ⁿ, 2ⁿ), unnormalised: its trace is the termination probability.

        Raises:
            ResourceError: the matrix would not fit in memory.
        """
        dimension = 2 ** len(self.qubits)
        needed = 2 * 16 * dimension**2
        if needed > self.max_memory:
            raise ResourceError(
                f"A density matrix on {len(self.qubits)} qubits takes {size_text(needed)}; the limit is "
                f"{size_text(self.max_memory)}. The vectors of a store are smaller: state[store].vectors."
            )
        total = np.zeros((dimension, dimension), dtype=complex)
        for mixture in self.stores.values():
            total += mixture.density_matrix()
        return total

    def _key(self, store: Store | Mapping[str, int] | int) -> Store:
        if isinstance(store, Mapping):
            unknown = [name for name in store if name not in self.counters]
            if unknown:
                hint = did_you_mean(str(unknown[0]), self.counters)
                raise QdiffError(
                    f"`{unknown[0]}` is not a counter. Counters: {listed(self.counters)}. {hint}".rstrip()
                )
            missing = [name for name in self.counters if name not in store]
            if missing:
                raise QdiffError(f"The store has no value for {listed(missing)}.")
            return tuple(store[name] for name in self.counters)
        key = store if isinstance(store, tuple) else (store,)
        if len(key) != len(self.counters):
            raise QdiffError(
                f"A store holds the values of {listed(self.counters)}: {len(self.counters)} numbers, got "
                f"{len(key)}."
            )
        return key

    def _text(self, store: Store) -> str:
        return (
            ", ".join(f"{name} = {x}" for name, x in zip(self.counters, store, strict=True)) or "no counters"
        )

    def _listed(self) -> str:
        return listed((self._text(store) for store in self.stores), SHOWN)

    def __str__(self) -> str:
        width = max((len(self._text(store)) for store in self.stores), default=0)
        lines = [f"{len(self.qubits)} qubits: {listed(self.qubits)}"]
        for store, probability in list(self.probabilities.items())[:SHOWN]:
            lines.append(f"  {self._text(store):<{width}}  probability {probability:.6g}")
        if len(self) > SHOWN:
            rest = sum(list(self.probabilities.values())[SHOWN:])
            lines.append(f"  and {len(self) - SHOWN} more stores with probability {rest:.6g}")
        if self.aborted:
            lines.append(f"  aborted, probability {self.aborted:.6g}")
        if self.lost:
            lines.append(f"  never ended, probability {self.lost:.6g}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        stores = "1 store" if len(self) == 1 else f"{len(self)} stores"
        return f"HybridState({stores}; ends with probability {self.termination_probability:.6g})"


def state(
    program: Program,
    params: object = None,
    *,
    max_memory: int = DEFAULT_MEMORY,
    engine: str | ExactEngine | None = None,
) -> HybridState:
    """Return the exact state in which a program ends, {σ: ρ_σ} by values of its counters.

    Args:
        params: as for an objective (angles in radians).
        max_memory: bytes that exact states may take; 4 GiB where it is left out.
        engine: as for `qd.expectation`.

    Returns:
        For each store σ a `Mixture`, complex (2ⁿ, 2ⁿ) with the trace P(a run ends with σ); what
        aborts or never ends is in `.aborted` and `.lost`.

    Raises:
        QdiffError: no `Program`, an unknown engine.
        ParameterError: values missing, unknown, not finite, or of the wrong size.
        EvaluationError: something has no value where a run comes.
        ResourceError: the exact states do not fit in memory.

    Example:
        >>> import qdiff as qd
        >>> s = qd.state(qd.parse("qubit: q count: c H[q]; c := M[q]"))
        >>> round(s[1].probability, 6), s[1].density_matrix().real.round(6).tolist()
        (0.5, [[0.0, 0.0], [0.0, 0.5]])
    """
    if not isinstance(program, Program):
        raise QdiffError(f"Expected a Program (qd.parse, qd.load), got {type(program).__name__}.")
    values = resolve(program, params)
    engines = Engines(program, max_memory, engine)
    found = engines.chosen.state(values)
    analysis = engines.chosen.analyze(values, constant(1), ())
    lost = analysis.trapped_probability + analysis.outside_probability
    aborted = 1 - analysis.termination_probability - lost
    by_weight = sorted(found.items(), key=lambda item: (-item[1].probability, item[0]))
    return HybridState(
        qubits=program.qubits,
        counters=program.counters,
        stores=dict(by_weight),
        aborted=aborted if aborted > ROUNDING else 0.0,
        lost=lost,
        max_memory=max_memory,
    )
