"""How far to go: line searches along a direction, and trust-region subproblems.

A line search is a function ``search(phi, start, first, longest)`` (see `line`); a trust-region
solver is a function ``subproblem(model, radius)`` (see `trust`).
"""
