"""How good a model is: through torch or through a bundle's runtime, by the same code."""

from sam3i_edge.evaluate.run import evaluate
from sam3i_edge.evaluate.scores import RouteScores, Scores

__all__ = ["RouteScores", "Scores", "evaluate"]
