"""Whether following a loop leads anywhere: its mass must fall, and not too slowly.

One that falls more slowly (`sim/falling`) is refused, and so is one that has not begun to fall after a
long way.
"""

from __future__ import annotations

from collections.abc import Iterable

from qdiff.errors import EvaluationError
from qdiff.sim.exact import FROM_SHOTS_IF_IT_ENDS
from qdiff.sim.falling import Fall, fall
from qdiff.sim.pure.course import Course
from qdiff.sim.pure.graph import Node

FIRST_LOOK, SLOWEST = 512, 1.1
LEAST_FIRST_LOOK = 64  # where steps are expensive
LONGEST_UNTOUCHED = 1 << 13


class Progress:
    """Watches the mass inside every loop of the flow.

    Args:
        step_cost: what one step counts: large states take longer.
    """

    def __init__(self, course: Course, step_cost: int) -> None:
        self.course = course
        self.step_cost = step_cost
        self._steps: dict[int, int] = {}
        self._checks: dict[int, tuple[int, float, float]] = {}  # when due, mass that entered, share before

    def step(self, node: Node, waiting: Iterable[Node], followed: int) -> None:
        """Count a step of `node`, which waits no longer.

        Raises:
            EvaluationError: the loop it is in does not end, or too slowly.
        """
        component = self.course.component[node.point]
        if component not in self.course.cyclic:
            return
        steps = self._steps[component] = self._steps.get(component, 0) + 1
        due, entered, before = self._checks.get(component, (0, 0.0, 1.0))
        if steps < due:
            return
        inside = [node, *(n for n in waiting if self.course.component[n.point] == component)]
        # Where no mass comes, only derivatives of flips do.
        mass = sum(n.weight for n in inside) or sum(n.perturbed for n in inside)
        if not due:
            self._checks[component] = (max(FIRST_LOOK // self.step_cost, LEAST_FIRST_LOOK), mass, 1.0)
            return
        share = mass / entered if entered else 0.0
        self._checks[component] = (2 * steps, entered, share)
        found = fall(share, before, SLOWEST)
        too_long = found is Fall.UNTOUCHED and steps * self.step_cost >= LONGEST_UNTOUCHED
        if too_long or found is Fall.SLOW:
            raise EvaluationError(
                f"A loop does not end, or too slowly: after following {followed} branches, runs still go on "
                f"inside with a share of {share:.3g} of those that entered, which decreases too slowly",
                advice=FROM_SHOTS_IF_IT_ENDS,
            )
