"""The vision backbone: ViT trunk with rotary positions and windowed attention, and its feature pyramid."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.model.layers import attend, conv_3x3, merge_heads


def normalize(image: Tensor) -> Tensor:
    """Resized pixels (B, S, S, 3) uint8 to (B, 3, S, S) float32: scaled to [0, 1], mean 0.5, standard deviation 0.5.

    The cast comes first: TensorRT takes a uint8 tensor into nothing else.
    """
    return image.float().permute(0, 3, 1, 2) / 127.5 - 1


class RotaryTable(nn.Module):
    """2-D axial rotary embedding as real cos/sin tables: half of each head turns with x, half with y."""

    cos: Tensor
    sin: Tensor

    def __init__(self, side: int, head_size: int, coordinate_scale: float) -> None:
        super().__init__()
        exponents = np.arange(0, head_size, 4, dtype=np.float32) / np.float32(head_size)
        frequencies = 1.0 / np.float32(10000.0) ** exponents
        y, x = np.divmod(np.arange(side * side), side)
        coordinates = np.stack([x, y]).astype(np.float32) * np.float32(coordinate_scale)
        angles = np.concatenate(coordinates[:, :, None] * frequencies, axis=1)
        angles = angles.repeat(2, axis=1)  # one angle turns each pair of neighbouring channels
        self.register_buffer("cos", torch.from_numpy(np.cos(angles)), persistent=False)
        self.register_buffer("sin", torch.from_numpy(np.sin(angles)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Rotate (…, side², head_size)."""
        even, odd = x[..., 0::2], x[..., 1::2]
        turned = torch.stack([-odd, even], dim=-1).flatten(-2)
        return x * self.cos + turned * self.sin


class HalvedRotaryTable(nn.Module):
    """``RotaryTable`` for heads whose even channels come first: slices without strides, which OpenVINO fuses."""

    cos: Tensor
    sin: Tensor

    def __init__(self, table: RotaryTable) -> None:
        super().__init__()
        order = evens_first(table.cos.shape[-1])
        self.register_buffer("cos", table.cos[:, order], persistent=False)
        self.register_buffer("sin", table.sin[:, order], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        return x * self.cos + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * self.sin


def evens_first(count: int) -> Tensor:
    """0, 2, 4, … 1, 3, 5, …"""
    return torch.arange(count).view(-1, 2).T.flatten()


class VisionAttention(nn.Module):
    """Self-attention over the cells (B, side², D) of a square map, with rotary positions."""

    def __init__(self, hidden_size: int, num_heads: int, rotary: RotaryTable) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.proj = nn.Linear(hidden_size, hidden_size)
        self.rotary: RotaryTable | HalvedRotaryTable = rotary

    @torch.no_grad()
    def halve_heads(self) -> None:
        """Put the even channels of q and k before the odd ones. What it computes stays the same; checkpoints do not."""
        if isinstance(self.rotary, HalvedRotaryTable):
            return
        size = self.qkv.in_features
        rows = torch.arange(3 * size).view(3, self.num_heads, -1)
        rows[:2] = rows[:2, :, evens_first(size // self.num_heads)]
        self.qkv.weight.copy_(self.qkv.weight[rows.flatten()])
        self.qkv.bias.copy_(self.qkv.bias[rows.flatten()])
        self.rotary = HalvedRotaryTable(self.rotary)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = attend(self.rotary(q), self.rotary(k), v)
        return self.proj(merge_heads(attended))


class VisionMlp(nn.Module):
    def __init__(self, hidden_size: int, inner_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, inner_size)
        self.fc2 = nn.Linear(inner_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class VisionBlock(nn.Module):
    """Pre-norm transformer block; attends within windows of ``window_size``, or globally when that is 0.

    Cells are a sequence (B, grid², C), not a map: on maps OpenVINO neither fuses LayerNorm nor, in int8, bias and GELU.
    """

    def __init__(self, config: ModelConfig, window_size: int) -> None:
        super().__init__()
        vision = config.vision
        side = window_size or config.grid_size
        # The global layers see more positions than a window has: squeeze their coordinates into a window's range.
        rotary = RotaryTable(side, vision.hidden_size // vision.num_heads, vision.window_size / side)
        self.window_size = window_size
        self.grid_size = config.grid_size
        self.norm1 = nn.LayerNorm(vision.hidden_size)
        self.attn = VisionAttention(vision.hidden_size, vision.num_heads, rotary)
        self.norm2 = nn.LayerNorm(vision.hidden_size)
        self.mlp = VisionMlp(vision.hidden_size, int(vision.hidden_size * vision.mlp_ratio))

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        attended = self._attend_in_windows(normed) if self.window_size else self.attn(normed)
        x = x + attended
        return x + self.mlp(self.norm2(x))

    def _attend_in_windows(self, x: Tensor) -> Tensor:
        batch, _, channels = x.shape
        side, window = self.grid_size, self.window_size
        # As published: a grid that is no multiple of the window is padded with zeros, which are attended to.
        grid = F.pad(x.view(batch, side, side, channels), (0, 0, 0, -side % window, 0, -side % window))
        count = grid.shape[1] // window
        windows = grid.view(batch, count, window, count, window, channels).transpose(2, 3)
        attended = self.attn(windows.reshape(-1, window * window, channels))
        merged = attended.view(batch, count, count, window, window, channels).transpose(2, 3)
        padded = merged.reshape(batch, count * window, count * window, channels)
        return padded[:, :side, :side].flatten(1, 2)


class PatchEmbed(nn.Module):
    def __init__(self, hidden_size: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, hidden_size, kernel_size=patch_size, stride=patch_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).permute(0, 2, 3, 1)


class VisionTrunk(nn.Module):
    """Image to the last global layer's map. Positions of the pretraining grid are tiled, not interpolated."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        vision = config.vision
        self.grid_size = config.grid_size
        self.pretrain_grid_size = config.pretrain_image_size // config.patch_size
        self.last_layer = max(vision.global_attention_layers)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.pretrain_grid_size**2 + 1, vision.hidden_size))
        self.patch_embed = PatchEmbed(vision.hidden_size, config.patch_size)
        self.blocks = nn.ModuleList(
            VisionBlock(config, 0 if i in vision.global_attention_layers else vision.window_size)
            for i in range(vision.num_layers)
        )
        self.ln_pre = nn.LayerNorm(vision.hidden_size)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Normalised pixels (B, 3, S, S) to features (B, C, S / patch, S / patch)."""
        x = self.ln_pre((self.patch_embed(pixel_values) + self._tiled_positions()).flatten(1, 2))
        for block in self.blocks[: self.last_layer + 1]:
            x = block(x)
        return x.transpose(1, 2).unflatten(-1, (self.grid_size, self.grid_size))

    def _tiled_positions(self) -> Tensor:
        side = self.pretrain_grid_size
        repeats = -(-self.grid_size // side)
        grid = self.pos_embed[:, 1:].unflatten(1, (side, side))  # slot 0 is the class token's
        return grid.repeat(1, repeats, repeats, 1)[:, : self.grid_size, : self.grid_size]


def _pyramid_level(in_size: int, out_size: int, scale: float, separable: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    size = in_size
    if scale == 4:
        layers["dconv_2x2_0"] = nn.ConvTranspose2d(in_size, in_size // 2, kernel_size=2, stride=2)
        layers["gelu"] = nn.GELU()
        layers["dconv_2x2_1"] = nn.ConvTranspose2d(in_size // 2, in_size // 4, kernel_size=2, stride=2)
        size = in_size // 4
    elif scale == 2:
        layers["dconv_2x2"] = nn.ConvTranspose2d(in_size, in_size // 2, kernel_size=2, stride=2)
        size = in_size // 2
    elif scale == 0.5:
        layers["maxpool_2x2"] = nn.MaxPool2d(kernel_size=2, stride=2)
    layers["conv_1x1"] = nn.Conv2d(size, out_size, kernel_size=1)
    layers["conv_3x3"] = conv_3x3(out_size, separable)
    return nn.Sequential(layers)


def _pointwise(conv: nn.ConvTranspose2d) -> nn.Conv2d:
    """A transposed 2 x 2 convolution of stride 2 as a 1 x 1 one, whose channels are then to become the pixels."""
    count = 4 * conv.out_channels
    made = nn.Conv2d(conv.in_channels, count, kernel_size=1)
    made.weight = nn.Parameter(conv.weight.detach().permute(1, 2, 3, 0).reshape(count, conv.in_channels, 1, 1))
    assert conv.bias is not None
    made.bias = nn.Parameter(conv.bias.detach().repeat_interleave(4))
    return made


class VisionBackbone(nn.Module):
    """Trunk plus simple feature pyramid."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.trunk = VisionTrunk(config)
        # The level at scale 0.5 is trained and stored, but nothing reads it.
        self.convs = nn.ModuleList(
            _pyramid_level(config.vision.hidden_size, config.hidden_size, scale, config.separable_convs)
            for scale in (4, 2, 1, 0.5)
        )

    def shuffle_pixels(self) -> None:
        """Upsample by 1 x 1 convolutions, which are quantized. What it computes stays the same; checkpoints do not."""
        for i, level in enumerate(self.convs):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for name, layer in level.named_children():
                if isinstance(layer, nn.ConvTranspose2d):
                    layers |= {name: _pointwise(layer), f"{name}_shuffle": nn.PixelShuffle(2)}
                else:
                    layers[name] = layer
            self.convs[i] = nn.Sequential(layers)

    def forward(self, pixel_values: Tensor, finest: int = 0) -> tuple[Tensor, ...]:
        """Pixels (B, 3, S, S) to the pyramid (B, D, 4g, 4g), (B, D, 2g, 2g), (B, D, g, g), with g = S / patch.

        With ``finest`` 1 or 2 it begins at the second or third level.
        """
        x = self.trunk(pixel_values)
        return tuple(conv(x) for conv in self.convs[finest:3])
