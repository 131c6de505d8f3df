"""The loader of the HMPL-Instruct layout: what texts mean, where things lie, and every kind of bad data."""

import re

import pytest

from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.data.samples import Query
from sam3i_edge.errors import DataError
from tests.datasets.conftest import HEIGHT, WIDTH


def test_what_texts_mean(write, content):
    first, second = load_samples(write(content), "val").samples
    assert set(first.queries) == {
        Query("mug", "concept", (0, 1)),
        Query("mug number 0", "simple", (0,)),
        Query("mug number 1", "simple", (1,)),
    }
    assert [instance.box for instance in first.instances] == [(0, 2, 3, 7), (4, 2, 7, 7)]
    assert [instance.id for instance in first.instances] == [10, 11]
    assert second.queries == (Query("table", "concept", (0,)),)
    assert (second.width, second.height, second.path.name) == (WIDTH, HEIGHT, "2.png")


def test_a_text_on_an_image_means_its_annotations_without_texts_or_nothing(write, content):
    content["images"][0]["text_inst_input"] = {"complex_query": ["what flies"]}
    content["images"][1]["text_inst_input"] = {"concept": ["desk"]}
    del content["annotations"][2]["text_inst_input"]
    first, second = load_samples(write(content), "val").samples
    assert Query("what flies", "complex", ()) in first.queries
    assert second.queries == (Query("desk", "concept", (0,)),)


def test_crowds_are_left_out_with_what_means_them(write, content):
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][2]["iscrowd"] = 1
    (only,) = load_samples(write(content), "val").samples
    assert only.queries == (Query("mug number 1", "simple", (0,)),)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [HEIGHT, WIDTH], "counts": [2, 5, WIDTH * HEIGHT - 7]},
        [[0.0, 2.0, 1.0, 2.0, 1.0, 7.0, 0.0, 7.0]],
    ],
)
def test_plain_runs_and_polygons(write, content, segmentation):
    content["annotations"][0]["segmentation"] = segmentation
    instance = load_samples(write(content), "val").samples[0].instances[0]
    assert instance.box == (0, 2, 1, 7)
    assert isinstance(instance.rle["counts"], bytes)


def masks(**values):
    return {"size": [HEIGHT, WIDTH], **values}


IMAGE, ANNOTATION = "image 1, ", "annotation 10, "
BAD = [
    (IMAGE, "file_name", "x.png", "there is no image"),
    (IMAGE, "file_name", "../1.png", "is '../1.png'; expected a path below"),
    (IMAGE, "width", None, "is missing; expected a whole number of pixels"),
    (
        ANNOTATION,
        "segmentation",
        {"size": [9, 9], "counts": "0"},
        "has size [9, 9]; the image is 32 wide",
    ),
    (
        ANNOTATION,
        "segmentation",
        masks(counts=[5, 5]),
        "has runs of 10 pixels in all; expected whole numbers",
    ),
    (
        ANNOTATION,
        "segmentation",
        masks(counts="55"),
        "has runs of 10 pixels in all; an image 32 wide and 24 high has 768",
    ),
    (ANNOTATION, "segmentation", masks(counts="5 5"), "cannot be decoded: its counts hold characters that no RLE has"),
    (ANNOTATION, "segmentation", masks(counts="PP"), "cannot be decoded: its counts end within a run"),
    (ANNOTATION, "segmentation", masks(counts=[768]), "is an empty mask"),
    (ANNOTATION, "segmentation", [[1, 2, 3]], "holds a polygon that is not a flat"),
    (ANNOTATION, "segmentation", [[0, 0, 1e9, 0, 1, 1]], "the coordinate 1000000000.0, not in"),
    (ANNOTATION, "segmentation", 3, "is a number; expected an RLE object"),
    (ANNOTATION, "text_inst_input", None, "there is no text, neither"),
    (ANNOTATION, "text_inst_input", {"concept": ["mug", " "]}, "concept[1]: is an empty text"),
    (
        ANNOTATION,
        "text_inst_input",
        {"concept": [" Visual"]},
        "concept[0]: is 'visual', which asks for what boxes show",
    ),
    (
        ANNOTATION,
        "text_inst_input",
        {"concept": ["ｖisual"]},
        "concept[0]: is 'visual', which asks for what boxes show",
    ),
    (ANNOTATION, "text_inst_input", {"concept": [7]}, "concept[0]: is 7; expected a text"),
    (ANNOTATION, "text_inst_input", {"concept": "mug"}, "concept: is a string; expected a list of texts"),
    (
        ANNOTATION,
        "text_inst_input",
        {"simple_querry": ["mug"]},
        "Unknown key 'simple_querry'. Known: concept, simple_query",
    ),
    (ANNOTATION, "id", 11, "is that of an earlier annotation"),
    (IMAGE, "id", 2, "is that of an earlier image"),
    (ANNOTATION, "image_id", 99, "is 99; there is no such image"),
    (ANNOTATION, "image_id", [1], "is [1]; there is no"),
    (ANNOTATION, "id", "10", "is '10'; expected a whole number"),
    (ANNOTATION, "bbox", [0, 0, -1, 5], "is [0, 0, -1, 5], empty, inverted or"),
    (ANNOTATION, "bbox", [0, 0], "is [0, 0]; expected [x, y, width, height]"),
    (ANNOTATION, "iscrowd", "no", "is 'no'; expected 0 or 1"),
    (IMAGE, "width", 10**400, "is inf; expected a whole number of pixels"),
    (ANNOTATION, "image_id", 10**400, "is inf; there is no such image"),
    (ANNOTATION, "bbox", [10**400, 0, 1, 1], "is [inf, 0, 1, 1]; expected [x, y, width, height]"),
    (ANNOTATION, "segmentation", [[10**400, 0, 1, 0, 1, 1]], "the coordinate inf, not in"),
    (ANNOTATION, "segmentation", masks(counts=[10**400, 1]), "has the run inf; expected whole numbers"),
]
"""What is set, of the first image or annotation, to what, and what is said of it."""


@pytest.mark.parametrize(("of", "key", "value", "message"), BAD)
def test_bad_data_is_refused_or_skipped_by_name(write, content, of, key, value, message):
    content[f"{of.split()[0]}s"][0][key] = value
    where = {11: "annotation 11, ", 2: "image 2, ", "10": "annotations[0], "}.get(value, of) if key == "id" else of
    said = re.compile(rf"{re.escape(where + key)}(: |\.).*{re.escape(message)}")
    path = write(content)
    with pytest.raises(DataError, match=said) as refused:
        load_samples(path, "val")
    assert str(path / "sam3i_val.json") in str(refused.value)
    loaded = load_samples(path, "val", on_problem="skip")
    assert any(said.search(str(problem)) for problem in loaded.problems)


def test_texts_of_a_skipped_annotation_go_with_it(write, content):
    content["annotations"][0]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [WIDTH * HEIGHT]}
    first, _ = load_samples(write(content), "val", on_problem="skip").samples
    assert first.queries == (Query("mug number 1", "simple", (0,)),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"images": [\n  {"id": 1 2}]}', "sam3i_val.json: line 2, column 12: broken JSON"),
        ("[]", "top level: is a list; expected an object with images and annotations"),
        ("null", "top level: is null; expected an object"),
        ('{"images": []}', "annotations: is missing; expected a list of objects"),
        ('{"images": {}, "annotations": []}', "images: is an object; expected a list"),
        ('{"images": [3], "annotations": []}', "images[0]: is a number; expected an object"),
        ('{"images": [], "annotations": []}', "holds no image with a text"),
    ],
)
def test_broken_files(write, text, message):
    path = write(text)
    for on_problem in ("refuse", "skip"):  # nothing would be left
        with pytest.raises(DataError, match=re.escape(message)):
            load_samples(path, "val", on_problem=on_problem)


def test_several_sets_share_image_folders(write, content, tmp_path):
    for name in ("RefCOCO", "gRefCOCO", "MMR"):
        write(content, f"sets/{name}")
    (tmp_path / "sets/RefCOCO/images").rename(tmp_path / "coco")
    root = tmp_path / "sets"
    loaded = load_samples(root, "val", images={"coco2014": tmp_path / "coco"})
    assert [sample.path.parent.relative_to(tmp_path).as_posix() for sample in loaded.samples] == [
        *["sets/MMR/images"] * 2,
        *["coco"] * 4,
    ]
    with pytest.raises(DataError, match=r"Unknown dataset 'refcocog'.*Did you mean 'RefCOCOg'"):
        load_samples(root, "val", images={"refcocog": tmp_path})


def test_wrong_names(write, content, tmp_path):
    write(content, "sets/HMPL_1to1")
    with pytest.raises(DataError, match=r"Unknown dataset 'HMPL_1to1'.*Did you mean 'HMPL-Instruct_1to1'"):
        load_samples(tmp_path / "sets", "val")
    with pytest.raises(DataError, match=r"There is no folder or file .*nodir\. Give a dataset's folder or file\.$"):
        load_samples(tmp_path / "nodir", "val")
    with pytest.raises(DataError, match=r"There is no folder or file .*Did you mean 'RefCOCO'"):
        load_samples(tmp_path / "RefCoco", "val")
    with pytest.raises(DataError, match=r"holds no sam3i_vla\.json.*Did you mean 'val'"):
        load_samples(tmp_path / "sets/HMPL_1to1", "vla")
    with pytest.raises(DataError, match="Unknown on_problem 'ignore'"):
        load_samples(tmp_path, "val", on_problem="ignore")


def test_one_file(write, content):
    assert len(load_samples(write(content) / "sam3i_val.json", "whatever").samples) == 2
