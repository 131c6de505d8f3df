"""The three graphs that are cut out of the model, as modules to trace."""

from __future__ import annotations

from torch import Tensor, nn

from sam3i_edge.graphs import Limits
from sam3i_edge.model import Pyramid, Sam3i
from sam3i_edge.model.layers import box_cxcywh_to_xyxy
from sam3i_edge.model.lite import LiteBackbone
from sam3i_edge.model.vision import normalize


class VisionGraph(nn.Module):
    """Resized uint8 image, channels last, to the feature pyramid; normalisation is inside."""

    def __init__(self, model: Sam3i) -> None:
        super().__init__()
        vision = model.backbone.vision_backbone
        self.vision_backbone = vision.fused() if isinstance(vision, LiteBackbone) else vision

    def forward(self, image: Tensor) -> Pyramid:
        fine, middle, coarse = self.vision_backbone(normalize(image))
        return fine, middle, coarse


class TextGraph(nn.Module):
    """Token ids and route gates to the text memory."""

    def __init__(self, model: Sam3i) -> None:
        super().__init__()
        self.language_backbone = model.backbone.language_backbone

    def forward(self, tokens: Tensor, gates: Tensor) -> Tensor:
        return self.language_backbone(tokens, gates)


class GroundingGraph(nn.Module):
    """Features and prompts to the ``max_instances`` best instances of each prompt, best first.

    Choosing them in here keeps 200 masks of 288 x 288, 66 MB per prompt, from ever being computed.
    """

    def __init__(self, model: Sam3i, max_instances: int) -> None:
        super().__init__()
        self.model = model
        self.max_instances = max_instances

    def forward(
        self,
        fine: Tensor,
        middle: Tensor,
        coarse: Tensor,
        text: Tensor,
        text_padding: Tensor,
        gates: Tensor,
        box_prompts: Tensor,
        box_labels: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        found = self.model.detect((fine, middle, coarse), text, text_padding, gates, box_prompts, box_labels)
        logits, index = found.logits.topk(self.max_instances, dim=1)
        best = index[..., None]
        queries = found.queries.gather(1, best.expand(-1, -1, found.queries.shape[-1]))
        corners = box_cxcywh_to_xyxy(found.boxes.gather(1, best.expand(-1, -1, 4)))
        masks = self.model.segmentation_head.masks(found.pixels, queries, gates)
        return logits, found.presence, corners, masks, index.int()


def graph_modules(model: Sam3i, limits: Limits) -> dict[str, nn.Module]:
    """The three graphs of a model, by name."""
    return {
        "vision": VisionGraph(model),
        "text": TextGraph(model),
        "grounding": GroundingGraph(model, limits.max_instances),
    }
