"""Networks: activations, losses, initialisers, layers, and the objective that training lowers.

Nothing here states a derivative. Activations and losses are one to three lines of
`thalweg.numpy`; the chain rule does the rest.
"""
