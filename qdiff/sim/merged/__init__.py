"""Merged shots: shots that share a point, a store and a state share the work.

order      which instructions come first in a program
frontier   the distinct states of a program with their probabilities, from one entry on
expansion  its compiled loop; `entries`: what waits, the heap and the hash tables
shares     how many of the shots each of them gets
backend    the door: `qdiff.sim.registry` knows it as "merged"
"""
