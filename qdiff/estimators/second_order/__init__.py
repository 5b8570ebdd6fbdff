"""Hessians and Hessian-vector products from shots: pairs of replaced occurrences."""
