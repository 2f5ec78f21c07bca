"""Functions made of primitives: what NumPy has beyond them, for traced and ordinary arrays.

They have no derivative rules of their own; :mod:`thalweg.numpy` gathers them under one roof.
"""
