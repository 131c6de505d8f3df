"""What becomes of the decoder's queries: scores and masks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.model.adapters import route_terms, split_gates
from sam3i_edge.model.layers import Mlp, MultiheadAttention, conv_3x3


class PromptMlp(nn.Module):
    """Residual two-layer MLP with a LayerNorm behind it."""

    def __init__(self, size: int, inner_size: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(size, inner_size), nn.Linear(inner_size, size)])
        self.out_norm = nn.LayerNorm(size)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_norm(x + self.layers[1](F.relu(self.layers[0](x))))


class DotProductScoring(nn.Module):
    """Score of a query: its dot product with the mean of the prompt's tokens."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.prompt_mlp = PromptMlp(size, config.ffn_size)
        self.prompt_proj = nn.Linear(size, size)
        self.hs_proj = nn.Linear(size, size)

    def forward(self, queries: Tensor, prompt: Tensor, padding: Tensor) -> Tensor:
        """Queries (…, N, Q, D), prompt (N, L, D) and its padding (N, L) to logits (…, N, Q)."""
        used = (~padding)[..., None].to(prompt.dtype)
        pooled = (self.prompt_mlp(prompt) * used).sum(1) / used.sum(1).clamp(min=1)
        logits = self.hs_proj(queries) @ self.prompt_proj(pooled)[..., None]
        return (logits[..., 0] * queries.shape[-1] ** -0.5).clamp(-12, 12)


class PixelDecoder(nn.Module):
    """Walks the pyramid from coarse to fine."""

    def __init__(self, size: int, separable: bool) -> None:
        super().__init__()
        # Three stages are stored; a pyramid of three levels takes two.
        self.conv_layers = nn.ModuleList(conv_3x3(size, separable) for _ in range(3))
        self.norms = nn.ModuleList(nn.GroupNorm(8, size) for _ in range(3))

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        x = coarse
        for skip, conv, norm in zip((middle, fine), self.conv_layers, self.norms, strict=False):
            x = skip + F.interpolate(x, scale_factor=2, mode="nearest")
            x = F.relu(norm(conv(x)))
        return x


class MaskPredictor(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.mask_embed = Mlp(size, size, size, size)

    def forward(self, queries: Tensor) -> Tensor:
        return self.mask_embed(queries)


class MaskHead(nn.Module):
    """Pixel embeddings of a prompt, and one mask embedding per query; their product is the mask.

    The two halves are separate methods so that an exported graph can keep the best K queries in between.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.pixel_decoder = PixelDecoder(size, config.separable_convs)
        self.mask_predictor = MaskPredictor(size)
        self.mask_predictor_adapter1 = MaskPredictor(size)
        self.mask_predictor_adapter2 = MaskPredictor(size)
        self.cross_attend_prompt = MultiheadAttention(size, config.num_heads)
        self.cross_attn_norm = nn.LayerNorm(size)
        self.semantic_seg_head = nn.Conv2d(size, 1, kernel_size=1)
        self.instance_seg_head = nn.Conv2d(size, size, kernel_size=1)

    def embed_pixels(
        self, pyramid: tuple[Tensor, Tensor, Tensor], memory: Tensor, prompt: Tensor, prompt_bias: Tensor
    ) -> Tensor:
        """Pyramid (1 or N, D, …), memory (N, g², D) and prompt (N, L, D) to pixel embeddings (N, D, 4g, 4g)."""
        fine, middle, coarse = pyramid
        memory = memory + self.cross_attend_prompt(self.cross_attn_norm(memory), prompt, prompt, prompt_bias)
        return self.pixel_decoder(fine, middle, memory.transpose(1, 2).unflatten(2, coarse.shape[-2:]))

    def masks(self, pixels: Tensor, queries: Tensor, gates: Tensor) -> Tensor:
        """Mask logits (N, Q, 4g, 4g) of ``queries`` (N, Q, D); each route has a predictor of its own."""
        concept, *_ = split_gates(gates)
        adapted = route_terms(gates, queries, self.mask_predictor_adapter1, self.mask_predictor_adapter2)
        embedded = concept * self.mask_predictor(queries) + sum(adapted)
        # The head's 1 x 1 convolution moves from the many pixels to the few queries: (E W) P + E b for E (W P + b).
        head = self.instance_seg_head
        masks = (embedded @ head.weight[..., 0, 0]) @ pixels.flatten(2) + (embedded @ head.bias)[..., None]
        return masks.unflatten(2, pixels.shape[-2:])

    def semantic(self, pixels: Tensor) -> Tensor:
        """Semantic mask logits (N, 1, 4g, 4g): every pixel the prompt means, regardless of instance."""
        return self.semantic_seg_head(pixels)
