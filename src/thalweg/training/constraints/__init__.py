"""Constraints on networks: what is asked for, made functions of the parameters, and solved.

`asking` has the names that users write, `kinds` the records they make; `frame` sees a network in
the units of its table, and `links` what enters a last activation that saturates; `region` spreads
points over the inputs, and `climbing` leads from them to where a condition is violated most.
`families` evaluates outputs and slopes at points, `pointwise` makes limits of them, `bound` puts it
together. `working_set` keeps the points that stand for regions. `solving` trains for one round
(with the Hessian of `curvature`), `beginning` finds where to start (`start`, `signs`, `enclosure`),
and `rounds` is the whole. `pulling` saves what has not come far enough, and `prices` makes the
`report` of how well the constraints hold.
"""
