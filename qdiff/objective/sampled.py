"""What objectives estimate from shots: values, derivatives, and derivatives of those.

`Sampled` is of any number of observables, which share their shots; `SampledNumber` of one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from qdiff.lang.tree import Program
from qdiff.objective.arguments import differentiated, direction
from qdiff.objective.chain import Chain
from qdiff.objective.quantities import Quantity
from qdiff.sim.engines import Engines

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from qdiff.estimators.estimate import Estimate
    from qdiff.estimators.method import Estimator
    from qdiff.sim.protocol import Backend


class Sampled(ABC):
    """An objective that shots can answer for.

    Attributes:
        program, engines: as of the objective.
        chain: its quantities and what they are made of.
    """

    program: Program
    engines: Engines
    chain: Chain

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of a value: () of a number, (k,) of a vector."""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What is estimated: one, or k of them."""
        return self.chain.quantities

    def estimate(
        self,
        params: object = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        precision: float | None = None,
        max_shots: int | None = None,
        seconds: float | None = None,
        backend: str | Backend | None = None,
        executor: Executor | None = None,
    ) -> Estimate:
        """Estimate f from shots, all components from the same ones where they can be read together.

        Args:
            shots: all that are spent, shared by the groups of terms that one run can read together; with
                `precision` or `seconds` the most that may be.
            seed: drawn and recorded if None.
            precision: rounds of shots until every standard error is at most that, or `max_shots` are spent.
            seconds: rounds of shots until so much time is over.
            backend: a backend or the name of one; qdiff's own simulator where it is left out.
            executor: any `concurrent.futures.Executor` that runs go to; the result is the same with it and
                for every number of workers.

        Returns:
            value, stderr, interval(level), covariance and the rest of an `Estimate`: a number, or
            float64 (k,).

        Raises:
            QdiffError: no budget, or one that is not positive or too small for the groups; a bad seed; a
                variance or a conditional expectation, which a mean over shots does not estimate.
            ParameterError, EvaluationError: as for the value.
            BackendError: an unknown backend, or one that cannot run the program; what could is listed.
        """
        from qdiff.estimators.budgets import Budget
        from qdiff.objective.shots import estimate_value

        budget = Budget(shots, precision, max_shots, seconds)
        return estimate_value(self, params, budget, seed=seed, backend=backend, executor=executor)

    def estimate_jacobian(
        self,
        params: object = None,
        wrt: object = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        estimator: str | Estimator = "stratified",
        precision: float | None = None,
        max_shots: int | None = None,
        seconds: float | None = None,
        mu: str | None = None,
        backend: str | Backend | None = None,
        executor: Executor | None = None,
        assume_finite: bool = False,
        warm: Estimate | None = None,
    ) -> Estimate:
        """Estimate the derivatives of all components from the same shots, with standard errors.

        The arguments, what is biased and the errors are those of `Objective.estimate_grad`.

        Returns:
            An `Estimate` of float64 (k, d), or (d,) of a number; its `covariance` is (k·d, k·d), in the order
            of value.ravel().
        """
        from qdiff.estimators.budgets import Budget
        from qdiff.objective.shots import estimate_gradient

        return estimate_gradient(
            self,
            params,
            differentiated(self.program, wrt),
            Budget(shots, precision, max_shots, seconds),
            seed=seed,
            estimator=estimator,
            mu=mu,
            backend=backend,
            executor=executor,
            assume_finite=assume_finite,
            warm=warm,
        )


class SampledNumber(Sampled):
    """An objective of one number that shots can answer for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """()."""
        return ()

    def estimate_grad(
        self,
        params: object = None,
        wrt: object = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        estimator: str | Estimator = "stratified",
        precision: float | None = None,
        max_shots: int | None = None,
        seconds: float | None = None,
        mu: str | None = None,
        backend: str | Backend | None = None,
        executor: Executor | None = None,
        assume_finite: bool = False,
        warm: Estimate | None = None,
    ) -> Estimate:
        """Estimate ∂f/∂wrt from shots, with standard errors; unbiased but for "finite-shift" and "spsa".

        Args:
            shots: all that are spent, pilots included; with `precision` or `seconds` the most that may be.
            seed: drawn and recorded if None. The same seed at other parameters gives runs with the same
                random numbers.
            estimator: "stratified", "trajectory" (simulators), "insertion" (as published), "finite-shift" or
                "spsa" (biased, they say by how much), or an object such as `qd.Insertion(mu="adaptive")`.
            precision: rounds of shots until every standard error is at most that, or `max_shots` are spent.
            seconds: rounds of shots until so much time is over.
            mu: of "insertion": the law of the replaced occurrence.
            backend: a backend or the name of one; qdiff's own simulator where it is left out.
            executor: any `concurrent.futures.Executor` that runs go to; the result is the same for every
                number of workers.
            assume_finite: do without the proof that a run executes finitely many occurrences on average.
            warm: an earlier estimate of the same derivatives, at parameters close by: what its runs taught
                is used in place of a pilot; how many occurrences there are is looked at again.

        Returns:
            An `Estimate` of float64 (d,), in the order of `wrt`. A derivative that is exactly zero because
            nothing depends on the parameter takes no shots.

        Raises:
            QdiffError: no budget, or one that is too small or not positive; an unknown estimator; a variance
                or a conditional expectation; an expected number of occurrences that is infinite, or not
                proved to be finite.
            ParameterError, EvaluationError: as for the gradient.
            BackendError: an unknown backend, or one that cannot serve the estimator; what could is listed.

        Source: Fang, Ying and Wu, "Differentiable quantum programming with unbounded loops" (2023);
        docs/estimators.md.
        """
        return self.estimate_jacobian(
            params,
            wrt,
            shots=shots,
            seed=seed,
            estimator=estimator,
            precision=precision,
            max_shots=max_shots,
            seconds=seconds,
            mu=mu,
            backend=backend,
            executor=executor,
            assume_finite=assume_finite,
            warm=warm,
        )

    def estimate_hessian(
        self,
        params: object = None,
        wrt: object = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        precision: float | None = None,
        max_shots: int | None = None,
        seconds: float | None = None,
        rule: str = "shift",
        backend: str | Backend | None = None,
        executor: Executor | None = None,
        assume_finite: bool = False,
    ) -> Estimate:
        """Estimate ∂²f/∂wrt∂wrt from shots, unbiased, with standard errors.

            ∂²f/∂θ_a∂θ_b = Σ over pairs (k, l) of occurrences, k replaced for θ_a and l for θ_b

        Args:
            rule: as `qd.differentiate` takes it.

        The other arguments are those of `estimate_grad`; d is at most 50.

        Returns:
            An `Estimate` of float64 (d, d), symmetric to the last bit; its `covariance` is (d², d²), in the
            order of value.ravel(). An entry that is exactly zero because no pair can be replaced takes no
            shots.

        Raises:
            ResourceError: more than 50 parameters.
            QdiffError: as of `estimate_grad`; a rule that is unknown or does not apply.
            ParameterError, EvaluationError: as for the Hessian.
            BackendError: an unknown backend, or one that cannot run the derivative programs.

        See docs/estimators.md.
        """
        from qdiff.estimators.budgets import Budget
        from qdiff.objective.second_order_shots import estimate_second

        return estimate_second(
            self,
            params,
            differentiated(self.program, wrt),
            None,
            Budget(shots, precision, max_shots, seconds),
            seed=seed,
            rule=rule,
            backend=backend,
            executor=executor,
            assume_finite=assume_finite,
        )

    def estimate_hvp(
        self,
        params: object,
        v: object,
        wrt: object = None,
        *,
        shots: int | None = None,
        seed: int | None = None,
        precision: float | None = None,
        max_shots: int | None = None,
        seconds: float | None = None,
        rule: str = "shift",
        backend: str | Backend | None = None,
        executor: Executor | None = None,
        assume_finite: bool = False,
    ) -> Estimate:
        """Estimate the Hessian times v from shots, unbiased, with standard errors.

        Entries of the Hessian get shots by how much of them v takes; those that it does not take get none.

        Args:
            v: (d,), in the order of `wrt`.

        The other arguments and the errors are those of `estimate_hessian`, for any d.

        Returns:
            An `Estimate` of float64 (d,).
        """
        from qdiff.estimators.budgets import Budget
        from qdiff.objective.second_order_shots import estimate_second

        names = differentiated(self.program, wrt)
        return estimate_second(
            self,
            params,
            names,
            direction(v, names),
            Budget(shots, precision, max_shots, seconds),
            seed=seed,
            rule=rule,
            backend=backend,
            executor=executor,
            assume_finite=assume_finite,
        )
