"""What each graph is given on the calibration data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from sam3i_edge.graphs import Limits
from sam3i_edge.image import preprocess
from sam3i_edge.prompt import Prompt, gates, pack_boxes
from sam3i_edge.tokenizer import PADDING_ID, Tokenizer

Inputs = tuple[Tensor, ...]
Asked = Iterable[tuple[np.ndarray, tuple[Prompt, ...]]]
"""Pictures, (H, W, 3) uint8 RGB, and what to ask of them: calibration data, for example."""


class GraphInputs:
    """One picture at a time, and never more prompts than a call takes: nothing is held."""

    def __init__(
        self, modules: Mapping[str, nn.Module], data: Asked, tokenizer: Tokenizer, limits: Limits, size: int
    ) -> None:
        """Args: the float graphs, the data, what a call of the grounding graph takes, and the image size."""
        self.tokenizer = tokenizer
        self._modules, self._data, self._limits, self._size = modules, data, limits, size

    def cases(self, pictures: int | None = None) -> Iterator[tuple[tuple[Inputs, Inputs], Inputs]]:
        """The inputs of the vision and the text graph, and those of the grounding graph that follow from them.

        Of so many ``pictures``, all of them by default; each with all of its prompts, in as many calls as these take.
        """
        most = self._limits.max_prompts
        for image, prompts in islice(self._data, pictures):
            seen = (torch.tensor(preprocess(image, self._size)),)  # a copy: the array may be read-only
            pyramid = self._modules["vision"](*seen)
            for some in (prompts[start : start + most] for start in range(0, len(prompts), most)):
                tokens, gate = self._texts(some)
                boxes, labels = pack_boxes(some, image.shape[1], image.shape[0], self._limits.max_boxes)
                text = self._modules["text"](tokens, gate)
                boxed = (torch.from_numpy(boxes), torch.from_numpy(labels))
                yield (seen, (tokens, gate)), (*pyramid, text, tokens == PADDING_ID, gate, *boxed)

    def of(self, graph: str) -> Iterator[Inputs]:
        """The inputs of the graph ``vision``, ``text`` or ``grounding``, from the beginning."""
        if graph == "grounding":
            yield from (grounding for _, grounding in self.cases())
            return
        for image, prompts in self._data:
            if graph == "vision":
                yield (torch.tensor(preprocess(image, self._size)),)
            else:
                yield self._texts(prompts)

    def run(self) -> None:
        """Send the data through all three graphs."""
        for inputs in self.of("grounding"):
            self._modules["grounding"](*inputs)

    def _texts(self, prompts: tuple[Prompt, ...]) -> Inputs:
        tokens = np.stack([self.tokenizer.encode(prompt.text) for prompt in prompts])
        return torch.from_numpy(tokens), torch.from_numpy(gates([prompt.route for prompt in prompts]))
