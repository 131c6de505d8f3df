"""The catalogue and the shapes: 24 kinds, some combinations held out, meshes that close and face outwards."""

import numpy as np
import pytest

from sam3i_edge.data.tabletop import meshes, objects, sampling
from sam3i_edge.data.tabletop.catalogue import CATALOGUE, COLOURS, KINDS, held_out
from sam3i_edge.errors import ConfigError

VARIANTS = [(name, variant) for name in KINDS for variant in range(CATALOGUE[name].variants)]


def volume(mesh: meshes.Mesh) -> float:
    """Enclosed by a closed mesh; negative where faces look inwards."""
    a, b, c = mesh.vertices[mesh.faces].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def test_kinds_and_colours_are_known_names() -> None:
    assert len(KINDS) == 24
    assert {colour for kind in CATALOGUE.values() for colour in kind.colours} <= set(COLOURS)
    with pytest.raises(ConfigError, match=r"Unknown kind 'mugg'.*Did you mean 'mug'\?"):
        held_out("mugg", "red")


def test_about_an_eighth_of_the_combinations_is_held_out() -> None:
    pairs = [(name, colour) for name in KINDS for colour in CATALOGUE[name].colours]
    held = [pair for pair in pairs if held_out(*pair)]
    assert 0.10 <= len(held) / len(pairs) <= 0.14
    assert len({name for name, _ in held}) >= 15
    # Of every kind and of every colour most remain: a held-out pair is a new combination, not a new word.
    assert all(sum(held_out(name, colour) for colour in kind.colours) <= 2 for name, kind in CATALOGUE.items())


@pytest.mark.parametrize(("split", "shows"), [("train", False), ("val", False), ("compose", True)])
def test_held_out_combinations_are_shown_by_compose_only(split: str, shows: bool) -> None:
    for seed in range(150):
        wished = sampling.wishes(np.random.default_rng(seed), split, 5)
        assert any(held_out(wish.kind, wish.colour) for wish in wished) == shows


def test_meshes_are_closed_and_face_outwards() -> None:
    assert volume(meshes.ellipsoid(1, 2, 0.5, 48)) == pytest.approx(4 / 3 * np.pi, rel=0.02)
    assert volume(meshes.box((1, 2, 3))) == pytest.approx(6)
    assert volume(meshes.rod((0, 0, 0), (0, 3, 4), 0.5, 48)) == pytest.approx(5 * np.pi / 4, rel=0.02)
    ring = [(np.cos(angle), np.sin(angle), 0) for angle in np.linspace(0, 2 * np.pi, 65)[:-1]]
    torus = meshes.sweep(ring, [0.2] * 64, 24, closed=True)
    assert volume(torus) == pytest.approx(2 * np.pi**2 * 0.04, rel=0.02)


def test_normals_are_smooth_on_a_ball_and_flat_on_a_cube() -> None:
    ball = meshes.ellipsoid(1, 1, 1, 32)
    assert np.einsum("fci,fci->fc", ball.normals(), ball.vertices[ball.faces]).min() > 0.99
    assert (np.abs(meshes.box((1, 1, 1)).normals()).max(-1) > 0.999).all()


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_every_shape_stands_on_the_table_at_unit_size(name: str, variant: int) -> None:
    points = objects.corners(name, variant)
    assert np.ptp(points, axis=0).max() == pytest.approx(1)
    assert points[:, 2].min() == pytest.approx(0, abs=1e-9)
    main = meshes.joined(*(part.mesh for part in objects.model(name, variant).parts if part.role == "main"))
    assert volume(main) > 0
    assert np.isfinite(main.normals()).all()


def test_things_stand_apart() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        items = sampling.arrange(rng, [sampling.dress(rng, wish) for wish in sampling.wishes(rng, "train", 8)])
        ground = [item for item in items if item.resting_on is None and item.inside is None]
        assert all(item.corners()[:, 2].min() == pytest.approx(0, abs=1e-9) for item in ground)
        for first in ground:
            for second in ground:
                if first is not second:
                    assert _gap(first.corners()[:, :2], second.corners()[:, :2]) > 0.9 * sampling.GAP


def _gap(first: np.ndarray, second: np.ndarray) -> float:
    """The widest strip between two clouds of points, over many directions."""
    angles = np.radians(np.arange(0, 360, 5))
    directions = np.stack([np.cos(angles), np.sin(angles)])
    return float(((second @ directions).min(0) - (first @ directions).max(0)).max())
