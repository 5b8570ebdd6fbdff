"""Pictures: a training run, and an objective over one or two parameters with a run on it.

Each function returns a matplotlib Figure that belongs to nobody else: no backend is chosen, no
window opened, no global setting changed. matplotlib loads with the first picture.
"""

from qdiff.plot.curves import plot_curve
from qdiff.plot.steps import plot_run
from qdiff.plot.surfaces import plot_surface

__all__ = ["plot_curve", "plot_run", "plot_surface"]
