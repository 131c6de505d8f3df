"""SA-Co files as samples."""

import json

import pytest

from sam3i_edge.data.saco import is_saco, load_saco
from sam3i_edge.errors import DataError


def saco(tmp_path, **change):
    """Two phrases about one image, the second with no instance."""
    content = {
        "images": [
            {
                "id": i,
                "file_name": "1.png",
                "width": 10,
                "height": 8,
                "text_input": text,
                "is_instance_exhaustive": True,
            }
            for i, text in ((1, "mug"), (2, "cat"))
        ],
        "annotations": [
            {
                "id": 5,
                "image_id": 1,
                "bbox": [0.0, 0.0, 0.1, 1.0],
                "segmentation": {"size": [8, 10], "counts": [0, 8, 72]},
            }
            | change
        ],
    }
    (tmp_path / "1.png").touch()
    file = tmp_path / "gt.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_pairs_on_one_image_are_one_sample(tmp_path):
    file = saco(tmp_path)
    (sample,) = load_saco(file).samples
    assert is_saco(file)
    assert [(query.text, query.route, query.targets) for query in sample.queries] == [
        ("mug", "concept", (0,)),
        ("cat", "concept", ()),
    ]


@pytest.mark.parametrize("mark", [False, 0])
def test_a_pair_that_was_not_annotated_exhaustively_is_left_out(mark, tmp_path):
    file = saco(tmp_path)
    content = json.loads(file.read_text(encoding="utf-8"))
    content["images"][1]["is_instance_exhaustive"] = mark
    file.write_text(json.dumps(content), encoding="utf-8")
    (sample,) = load_saco(file).samples
    assert [query.text for query in sample.queries] == ["mug"]


def test_a_pair_with_a_bad_annotation_is_left_out_whole(tmp_path):
    file = saco(tmp_path, bbox=[0, 0, 5, 5])
    with pytest.raises(DataError, match=r"annotation 5, bbox: .* as fractions of the image"):
        load_saco(file)
    (sample,) = load_saco(file, on_problem="skip").samples
    assert [query.text for query in sample.queries] == ["cat"]
