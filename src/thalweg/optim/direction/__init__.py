"""Where to go: directions from gradients, curvature, or linearised residuals.

A direction of the line-search kind is an object with ``direction(x, g)`` and
``update(step, change, ...)``; see `thalweg.optim.direction.base`.
"""
