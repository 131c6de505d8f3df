"""The recipe of a quantized model: what each block computes in. A table that a person can read, edit and run again.

A block is a module that owns linear layers or convolutions: one attention, one MLP, one stage of the pyramid. The two
products of an attention are a block of their own, ``….products``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sam3i_edge import schema
from sam3i_edge.errors import ConfigError, unknown_name
from sam3i_edge.graphs import GRAPHS
from sam3i_edge.terminal import printable

RECIPE_FILE = "recipe.toml"

OBSERVERS = ("min-max", "percentile", "mse")
CHOICES = ("int8", "int4", "fp16", "fp32")
FLOATING = ("fp16", "fp32")
TABLES = ("int8", "int4", "fp32")

PRODUCTS = ".products"
"""Behind an attention's name: the block of its two products."""

DELICATE = (
    "trunk.patch_embed",  # its input is the picture itself
    "segmentation_head*",  # masks: every pixel counts, and there is nothing behind to make up for it
    "dot_prod_scoring*",
    "transformer.decoder.bbox_embed",
    "transformer.decoder.presence_token_head",
    "transformer.decoder.ref_point_head",
    "transformer.decoder.boxRPB_embed_?",
    f"*{PRODUCTS}",
)
"""Blocks that the default recipe leaves in floating point; a search may find others, or none."""


@dataclass(frozen=True)
class QuantRecipe:
    """How to quantize. ``vision``, ``text`` and ``grounding`` give each block one of ``CHOICES``.

    ``int8`` computes with integers. ``int4`` stores the weights of linear layers in 4 bits and computes in floating
    point: it saves room, not time. Its convolutions, and layers whose inputs make no whole groups, stay as they are.
    ``fp16`` is for graphs whose types say so (see ``half``): there ``fp32`` takes a block out of half precision.
    """

    observer: str = "mse"
    """How the range of an activation is chosen: ``min-max``, ``percentile`` (99.99 %), or ``mse``, the range of the
    least squared error."""
    smooth: float = 0.5
    """SmoothQuant's α: how much of the activations' outliers moves into the weights behind a LayerNorm; 0: nothing."""
    bias_correction: bool = True
    """Take the mean error of every quantized layer, on the calibration data, off its bias."""
    embedding: str = "int8"
    """What the token table is stored in, ``int8`` (a scale for each row), ``int4`` (two values in a byte) or ``fp32``.
    It is only read, never computed with."""
    vision: dict[str, str] = field(default_factory=dict)
    text: dict[str, str] = field(default_factory=dict)
    grounding: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.observer not in OBSERVERS:
            raise ConfigError(unknown_name("observer", self.observer, OBSERVERS))
        if self.embedding not in TABLES:
            raise ConfigError(unknown_name("embedding", self.embedding, TABLES))
        if not 0 <= self.smooth <= 1:
            raise ConfigError(f"smooth is {self.smooth}; it must lie between 0 and 1.")
        for graph in GRAPHS:
            for block, choice in self.of(graph).items():
                if choice not in CHOICES:
                    raise ConfigError(f"{graph}.{block}: {unknown_name('precision', choice, CHOICES)}")

    def of(self, graph: str) -> dict[str, str]:
        """The table of one graph."""
        table: dict[str, str] = getattr(self, graph)
        return table

    def has(self, choice: str) -> bool:
        """Whether anything is to be in ``choice``, by a line of its own."""
        return choice == self.embedding or any(choice in self.of(graph).values() for graph in GRAPHS)

    def filled(self, graph: str, blocks: Iterable[str], floating: str = "fp32") -> dict[str, str]:
        """What every block of a graph computes in: its own line, else the last pattern that fits, else the default.

        A pattern puts the products of attention into int8 only if it ends with their name.

        ``floating`` is the default of delicate blocks: ``fp16`` in graphs that have it, or ``fp32``.

        Raises:
            ConfigError: a line names no block of the graph, or asks for products in int4.
        """
        names = list(blocks)
        table = dict.fromkeys(names, "int8") | {n: floating for n in names if any(fnmatchcase(n, d) for d in DELICATE)}
        for pattern, choice in sorted(self.of(graph).items(), key=lambda line: line[0] in table):
            matched = [name for name in names if _fits(name, pattern)]
            if not matched:
                raise ConfigError(f"recipe: {unknown_name(f'block of the {graph} graph', pattern, names)}")
            if choice not in FLOATING and not pattern.endswith(PRODUCTS):
                matched = [name for name in matched if not name.endswith(PRODUCTS)]
            elif choice == "int4":
                raise ConfigError(f"recipe: {pattern} have no weights, so int4 means nothing to them: use int8.")
            table |= dict.fromkeys(matched, choice)
        return table

    def pinned(self, graph: str, blocks: Iterable[str]) -> set[str]:
        """The blocks of a graph that a line has in floating point. Raises ConfigError as ``filled`` does."""
        lines = [pattern for pattern, choice in self.of(graph).items() if choice in FLOATING]
        table = self.filled(graph, blocks)
        return {n for n, c in table.items() if c in FLOATING and any(_fits(n, p) for p in lines)}

    def with_blocks(self, tables: Mapping[str, Mapping[str, str]]) -> QuantRecipe:
        """This recipe with the given tables, by graph."""
        values: dict[str, Any] = {graph: dict(table) for graph, table in tables.items()}
        return replace(self, **values)

    def to_toml(
        self, note: str = "", remarks: Mapping[tuple[str, str], str] | None = None, precision: str = "int8"
    ) -> str:
        """As a file to read, edit and run again with ``precision``; ``note`` becomes a comment at its top.

        ``remarks``, by graph and block, stand behind the blocks' lines.
        """
        lines = [f"# {printable(line)}" for line in note.split("\n")] if note else []
        lines += [f"# Use it with: sam3i-edge export --precision {precision} --recipe FILE"]
        values = schema.plain(self)
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if key not in GRAPHS]
        for graph in GRAPHS:
            lines += ["", f"[{graph}]"]
            for name, value in values[graph].items():
                remark = (remarks or {}).get((graph, name))
                lines.append(f"{json.dumps(name)} = {json.dumps(value)}" + (f"  # {remark}" if remark else ""))
        return "\n".join(lines) + "\n"


def read_recipe(path: str | Path) -> QuantRecipe:
    """Read a ``recipe.toml``. Raises ConfigError naming the file."""
    return schema.read_toml(QuantRecipe, Path(path), "recipe", _refuse_bare_names)


def _fits(block: str, line: str) -> bool:
    return block == line or fnmatchcase(block, line)


def _refuse_bare_names(content: Mapping[str, Any]) -> None:
    for graph in GRAPHS:
        table = content.get(graph)
        for name, choice in table.items() if isinstance(table, dict) else ():  # the schema refuses what is no table
            if isinstance(choice, dict):
                raise ConfigError(f'[{graph}] {name}: the name of a block has dots, so it stands in quotes: "{name}.…"')
