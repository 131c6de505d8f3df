"""A recipe is a table that a person can edit: what is wrong with it is named."""

import pytest

from sam3i_edge.errors import ConfigError
from sam3i_edge.quantize.recipe import QuantRecipe, read_recipe

BLOCKS = ["trunk.patch_embed", "trunk.blocks.0.attn", "trunk.blocks.0.mlp", "trunk.blocks.1.attn"]


def test_the_default_leaves_delicate_blocks_in_floating_point():
    assert QuantRecipe().filled("vision", BLOCKS) == dict.fromkeys(BLOCKS, "int8") | {"trunk.patch_embed": "fp32"}


def test_where_half_precision_has_types_of_its_own_delicate_blocks_have_it():
    table = QuantRecipe(vision={"trunk.blocks.0.mlp": "fp32"}).filled("vision", BLOCKS, "fp16")
    assert table["trunk.patch_embed"] == "fp16" and table["trunk.blocks.0.mlp"] == "fp32"


def test_patterns_count_less_than_lines_of_a_blocks_own():
    recipe = QuantRecipe(vision={"trunk.blocks.0.attn": "int8", "trunk.*": "fp32"})
    table = recipe.filled("vision", BLOCKS)
    assert [name for name, choice in table.items() if choice == "int8"] == ["trunk.blocks.0.attn"]


def test_pinned_are_those_that_a_line_has_in_floating_point():
    lines = {"trunk.blocks.0.*": "fp32", "trunk.blocks.0.mlp": "int8", "trunk.blocks.1.attn": "fp16"}
    recipe = QuantRecipe(vision=lines)
    assert recipe.pinned("vision", BLOCKS) == {
        "trunk.blocks.0.attn",
        "trunk.blocks.1.attn",
    }  # by default the patch embedding is, too
    with pytest.raises(ConfigError, match="Unknown block"):
        QuantRecipe(vision={"nonsense": "fp32"}).pinned("vision", BLOCKS)


def test_products_need_a_pattern_of_their_own():
    blocks = [*BLOCKS, "trunk.blocks.0.attn.products"]
    for line, choice, products in [("*", "int8", "fp32"), ("trunk.*", "int4", "fp32"), ("*.products", "int8", "int8")]:
        assert QuantRecipe(vision={line: choice}).filled("vision", blocks)[blocks[-1]] == products
    assert QuantRecipe(vision={"*.products": "int8", "trunk.*": "fp32"}).filled("vision", blocks)[blocks[-1]] == "fp32"
    with pytest.raises(ConfigError, match="have no weights, so int4 means nothing to them"):
        QuantRecipe(vision={"*.products": "int4"}).filled("vision", blocks)


def test_written_and_read_again(tmp_path):
    recipe = QuantRecipe(
        observer="percentile", smooth=0.0, vision=dict.fromkeys(BLOCKS, "int8"), text={"resizer": "fp32"}
    )
    (tmp_path / "recipe.toml").write_text(recipe.to_toml("a note\nof two lines"))
    assert read_recipe(tmp_path / "recipe.toml") == recipe
    assert (tmp_path / "recipe.toml").read_text().startswith("# a note\n# of two lines\n")


def test_an_unknown_block_names_the_closest():
    with pytest.raises(
        ConfigError, match=r"Unknown block of the vision graph 'trunk.block.0.attn'.*Did you mean 'trunk"
    ):
        QuantRecipe(vision={"trunk.block.0.attn": "int8"}).filled("vision", BLOCKS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('observer = "mxe"', "Unknown observer 'mxe'.*Did you mean 'mse'"),
        ("smooth = 2.0", "smooth is 2.0; it must lie between 0 and 1"),
        ('[vision]\n"a" = "int2"', "vision.a: Unknown precision 'int2'. Known: int8, int4, fp16, fp32"),
        ('embeding = "int8"', "Unknown key 'embeding'"),
        *((text, "recipe.toml") for text in ("[vision", "vision = 3", 'vision = ["a"]', "observer = " + "[" * 100_000)),
        (None, "Cannot read the recipe .*recipe.toml"),
    ],
)
def test_bad_recipes(tmp_path, text, message):
    if text is not None:
        (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_recipe(tmp_path / "recipe.toml")
