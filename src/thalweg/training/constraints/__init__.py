"""Constraints on networks: what is asked for, made functions of the parameters, and solved.

`asking` has the names that users write, `kinds` the records they make; `frame` sees a network in
the units of its table, `region` spreads points over it and searches it, `pointwise` turns outputs
and slopes at points into functions of the parameters, `bound` puts it together. `working_set` keeps
the points that stand for regions, `rounds` trains (with the Hessian of `curvature`), and `prices`
makes the `report` of how well the constraints hold.
"""
