"""Rendering: every kind shows, masks fit the picture, and what is said to be visible is."""

from dataclasses import replace

import numpy as np
import pytest

from sam3i_edge.data.tabletop import objects, render, sampling, visibility
from sam3i_edge.data.tabletop.catalogue import CATALOGUE, KINDS
from sam3i_edge.data.tabletop.scene import Camera, Scene, SceneObject
from sam3i_edge.errors import RuntimeUnavailableError

SIZE = 128


@pytest.fixture(scope="module")
def renderer() -> render.Renderer:
    return render.renderer()


def item(kind: str, colour: str, spot: tuple[float, float] = (0, 0), variant: int = 0, seed: int = 0) -> SceneObject:
    rng = np.random.default_rng(seed)
    made = sampling.dress(rng, sampling.Wish(kind, colour))
    made = sampling.standing(replace(made, variant=variant, matrix=np.eye(3) * made.size, lying=False, pattern="plain"))
    return replace(made, position=made.position + np.array([*spot, 0.0]))


def scene(*items: SceneObject, camera: Camera | None = None) -> Scene:
    rng = np.random.default_rng(1)
    lights, ambient = sampling.light(rng)
    room = replace(sampling.furnish(rng), table="linen", wall="cream plaster")
    grading = replace(sampling.grade(rng), noise=0.0, blur=0.0)
    return Scene(items, camera or sampling.aim(rng, items), lights, ambient, room, grading)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows(renderer: render.Renderer, kind: str) -> None:
    for variant in range(CATALOGUE[kind].variants):
        shown = scene(item(kind, CATALOGUE[kind].colours[0], variant=variant))
        indices = renderer.instances(shown, SIZE)
        assert (indices == 0).mean() > 0.03
        picture = renderer.picture(shown, SIZE).astype(int)
        empty = renderer.picture(replace(shown, items=()), SIZE).astype(int)
        inside = np.abs(picture - empty).max(-1)[indices == 0]
        assert (inside > 6).mean() > 0.8  # it stands out against the table


def test_masks_fit_the_picture(renderer: render.Renderer) -> None:
    shown = scene(item("ball", "red", (-0.1, 0)), item("ball", "blue", (0.1, 0.02)))
    picture, indices = render.render(shown, SIZE)
    red, _, blue = picture.astype(int).transpose(2, 0, 1)
    for index, coloured in enumerate((red > 1.8 * blue, blue > 1.3 * red)):
        mask = indices == index
        assert (mask & coloured).sum() / (mask | coloured).sum() > 0.9


def test_what_stands_in_front_hides(renderer: render.Renderer) -> None:
    ball = item("ball", "green")
    camera = Camera((0, -1.0, 0.25), 12, 40)
    alone = scene(ball, camera=camera)
    crowded = scene(ball, item("box", "red", (0.06, -0.3)), camera=camera)
    full = (renderer.instances(alone, SIZE) == 0).sum()
    partly = (renderer.instances(crowded, SIZE) == 0).sum()
    assert 0.1 * full < partly < 0.8 * full
    assert renderer.outline(crowded, 0, SIZE) == pytest.approx(full, rel=0.05)


def test_the_edge_of_the_image_hides_too(renderer: render.Renderer) -> None:
    ball = item("ball", "green")
    camera = Camera((0.363, -1.0, 0.25), 12, 40)  # the ball's middle is about at the left edge
    shown = scene(ball, camera=camera)
    area = (renderer.instances(shown, SIZE) == 0).sum()
    assert area / renderer.outline(shown, 0, SIZE) == pytest.approx(0.5, abs=0.2)


def test_what_cannot_be_pointed_at_is_taken_away_with_what_it_carries(renderer: render.Renderer) -> None:
    for seed in range(6):
        found, facts, indices = visibility.observed_scene(np.random.default_rng(seed), "train", renderer, SIZE)
        assert len(facts.things) == len(found.items) >= visibility.LEAST_THINGS
        assert set(np.unique(indices)) == {-1, *range(len(facts.things))}
        for index, thing in enumerate(facts.things):
            mask = indices == index
            assert thing.area == mask.sum() >= visibility.LEAST_AREA * SIZE**2
            assert thing.visible >= visibility.LEAST_VISIBLE
            x0, y0, x1, y1 = thing.box
            assert mask[y0:y1, x0:x1].sum() == thing.area
    items = (item("book", "red"), replace(item("spoon", "blue"), resting_on=0), item("ball", "white"))
    assert [left.kind for left in visibility.without(items, [False, True, True])] == ["ball"]


def test_projection_agrees_with_the_renderer(renderer: render.Renderer) -> None:
    shown = scene(item("ball", "red"), camera=Camera((0.1, -0.8, 0.5), 30, 42))
    y, x = np.nonzero(renderer.instances(shown, SIZE) == 0)
    image, _ = shown.camera.project(shown.items[0].corners())
    low, high = image.min(0) * SIZE, image.max(0) * SIZE
    assert low == pytest.approx([x.min(), y.min()], abs=1.5)
    assert high == pytest.approx([x.max() + 1, y.max() + 1], abs=1.5)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(render.importlib, "import_module", missing)
    with pytest.raises(RuntimeUnavailableError, match=r"needs mujoco.*pip install '\.\[data\]'"):
        render.load_mujoco()

    def broken(name: str) -> None:
        raise AttributeError("'NoneType' object has no attribute 'eglQueryString'")

    monkeypatch.setattr(render.importlib, "import_module", broken)
    with pytest.raises(RuntimeUnavailableError, match="apt install libegl1 libegl-mesa0"):
        render.load_mujoco()


def test_hollows_hold_and_supports_carry() -> None:
    for kind, riders in sampling.CARRIED.items():
        model = objects.model(kind, 0)
        assert (model.hollow or model.support) and set(riders) <= set(KINDS)
