"""Calibration data from a dataset, a folder or the package; what is wrong with it is said before any work."""

import logging

import pytest
from PIL import Image

from sam3i_edge.errors import DataError, ImageError
from sam3i_edge.prompt import ROUTES
from sam3i_edge.quantize.calibration import load_calibration

LINES = [
    "# what the robot is asked",
    "concept: mug",
    "simple: the mug on the left",
    "complex: what you would drink from",
]


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        Image.new("RGB", (40, 30), (number * 40, 90, 120)).save(tmp_path / f"{number}.png")
    (tmp_path / "prompts.txt").write_text("\n".join(LINES))
    return tmp_path


def test_the_scenes_of_the_package(caplog):
    with caplog.at_level(logging.WARNING):
        data = load_calibration(None)
    assert len(data) == len(data.samples) == 6
    assert data.counts() == dict.fromkeys(ROUTES, 6)
    assert "Only 6 calibration images" in caplog.text


def test_a_folder_of_pictures_and_a_text_file(folder):
    data = load_calibration(folder)
    assert data.counts() == dict.fromkeys(ROUTES, 3)
    shapes = [(image.shape, [prompt.text for prompt in prompts]) for image, prompts in data]
    assert [shape for shape, _ in shapes] == [(30, 40, 3)] * 3
    assert {text for _, texts in shapes for text in texts} == {line.split(": ")[1] for line in LINES[1:]}


def test_prompts_in_the_order_of_their_routes(folder):
    lines = [f"{route}: thing {number}" for route in ROUTES for number in range(20)]
    (folder / "prompts.txt").write_text("\n".join(lines))
    data = load_calibration(folder)
    assert data.counts() == dict.fromkeys(ROUTES, 9)
    assert len({(p.route, p.text) for item in data.asked for p in item.prompts}) == 27


def test_pictures_of_every_kind_that_is_read_are_used(folder):
    Image.new("RGB", (40, 30)).save(folder / "scan.TIFF")
    assert len(load_calibration(folder)) == 4


def test_a_mark_at_the_beginning_of_the_file(folder):
    (folder / "prompts.txt").write_text("\n".join(LINES[1:]), encoding="utf-8-sig")
    assert load_calibration(folder).counts() == dict.fromkeys(ROUTES, 3)


def test_a_dataset(shapes):
    data = load_calibration(shapes)
    assert min(data.counts().values()) > 0
    assert all(prompt.text for item in data.asked for prompt in item.prompts)


def test_the_hash_is_of_pictures_and_prompts(folder):
    before = load_calibration(folder).sha256()
    assert load_calibration(folder).sha256() == before
    (folder / "prompts.txt").write_text("\n".join([*LINES, "concept: cup"]))
    with_prompt = load_calibration(folder).sha256()
    Image.new("RGB", (40, 30), (1, 2, 3)).save(folder / "0.png")
    assert len({before, with_prompt, load_calibration(folder).sha256()}) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("prompts.txt", "concept: mug\nconcept: &nbsp;", r"prompts\.txt, line 2: The prompt's text is empty"),
        (
            "prompts.txt",
            "concept: Schlüssel".encode("latin-1"),
            r"prompts\.txt: it is not UTF-8 text \(byte 13\); save it as UTF-8",
        ),
        ("prompts.txt", None, r"holds pictures but no prompts\.txt\. Write one"),
        (
            "prompts.txt",
            "\n".join(LINES[:2]),
            "has no prompt on simple and complex; every route has weights of its own",
        ),
        ("prompts.txt", "concept: mug\nsimpel: the mug", r"prompts.txt, line 2: 'simpel: the mug' is not of the form"),
        ("2.png", b"no picture", r"2\.png"),
        ("*.png", None, r"is empty: give a dataset, or pictures and prompts\.txt"),
    ],
)
def test_what_cannot_calibrate(folder, name, content, message):
    for file in folder.glob(name):
        file.unlink()
    if content is not None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((DataError, ImageError), match=message):
        load_calibration(folder)


def test_a_dataset_without_images(tmp_path):
    (tmp_path / "sam3i_train.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(DataError, match="holds no image with a text"):
        load_calibration(tmp_path)
