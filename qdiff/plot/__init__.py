"""Pictures: the course of a training run, and an objective along one parameter with the run on it.

Each function returns a matplotlib Figure that belongs to nobody else: no backend is chosen, no
window opened, no global setting changed. matplotlib loads with the first picture.
"""

from qdiff.plot.curves import plot_landscape
from qdiff.plot.landscapes import landscape
from qdiff.plot.training import plot_training

__all__ = ["landscape", "plot_landscape", "plot_training"]
