"""sam3i-edge: SAM3-I, instruction-following segmentation, on the device at hand.

>>> from sam3i_edge import Segmenter, read_image
>>> found = Segmenter.load("bundle/").segment(read_image("photo.jpg"), "the red mug left of the laptop")
"""

from sam3i_edge.errors import Sam3iEdgeError
from sam3i_edge.image import read_image
from sam3i_edge.instances import Instances
from sam3i_edge.prompt import Box, Prompt
from sam3i_edge.segmenter import Frame, Segmenter

__version__ = "0.1.0"

__all__ = ["Box", "Frame", "Instances", "Prompt", "Sam3iEdgeError", "Segmenter", "__version__", "read_image"]
