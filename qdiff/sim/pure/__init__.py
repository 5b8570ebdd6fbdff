"""Exact engines over pure states: one path (`static`) and a frontier of branches (`branching`)."""
