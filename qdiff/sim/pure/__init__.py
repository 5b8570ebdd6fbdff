"""Pure states: what the engine of programs that never measure (`static`) and that over branches share.

`course` and `paths` say what can happen, `numbers`, `plan` and `matrices` with which angles; `kernels` runs
gates, `frontier` goes forward over branches, `sweep` back.
"""
