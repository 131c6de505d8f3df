"""How good a model is: through torch or through a bundle's runtime, by the same code."""
