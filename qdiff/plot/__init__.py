"""Pictures: a training run, an objective over one or two parameters with a run on it, an estimate.

Each function returns a matplotlib Figure that belongs to nobody else: no backend is chosen, no
window opened, no global setting changed. matplotlib loads with the first picture.
"""

from qdiff.lang.formats import drawers
from qdiff.plot.curves import plot_curve
from qdiff.plot.estimates import plot_estimate
from qdiff.plot.steps import plot_run
from qdiff.plot.surfaces import plot_surface

__all__ = ["plot_curve", "plot_estimate", "plot_run", "plot_surface"]

drawers.register("plot:estimate", plot_estimate)
