"""Constraints: the primal-dual interior-point method and the augmented Lagrangian.

`program` puts a problem into the form  min f(w), c(w) = 0, l ≤ w ≤ u;  `kkt` solves its linear
systems; `barrier` holds the iterate and its measures; `filter` decides what is progress;
`interior_point` is the loop, `restoration` what it falls back on, and `feasibility` the second
witness where no point holds the constraints. `penalty` is what the augmented Lagrangian minimises.
"""
