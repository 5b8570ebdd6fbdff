"""Exact engines over pure states: one path (`static`) and a frontier of branches (`branching`).

`course` and `paths` say what can happen, `numbers`, `plan` and `matrices` with which angles; `kernels` runs
gates, `frontier` goes forward over branches, `sweep` back, `line` both ways over a single path.
"""
