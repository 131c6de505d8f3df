"""Text files of any editor: byte order marks are no part of a text, other encodings are named, numbers have an end."""

import codecs
import json
import math
import shutil

import pytest

from sam3i_edge.benchmarks.report import read_report
from sam3i_edge.config import ModelConfig
from sam3i_edge.data.hmpl import load_samples
from sam3i_edge.data.texts import read_texts
from sam3i_edge.errors import Sam3iEdgeError
from sam3i_edge.quantize.calibration import _read_prompts
from sam3i_edge.quantize.recipe import read_recipe
from sam3i_edge.route import DEFAULT_FILE, RouteClassifier
from sam3i_edge.targets import FOLDER, get_target
from sam3i_edge.text_files import parse_json, read_text, read_toml
from sam3i_edge.train.recipe import load_recipe
from tests.conftest import PARITY
from tests.datasets.photo import write_photo
from tests.test_layout import ROOT


def dataset(folder):
    return write_photo(folder, "val") / "sam3i_val.json"


def written(name, text):
    def write(folder):
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    return write


def copied(path):
    return lambda folder: shutil.copy(path, folder / f"copy{path.suffix}")


READERS = {
    "dataset": (dataset, lambda path: load_samples(path, "val").samples),
    "config": (copied(PARITY / "config.json"), ModelConfig.from_json),
    "route": (copied(DEFAULT_FILE), lambda path: RouteClassifier.load(path).to_dict()),
    "target": (copied(FOLDER / "x86-cpu.toml"), get_target),
    "recipe of quantization": (written("q.toml", '[text]\n"*" = "fp32"\n'), read_recipe),
    "recipe of training": (written("r.toml", "[stage1]\nimages = 2\n"), lambda path: load_recipe(path, "1", {})),
    "vocabulary": (written("texts.txt", "mug\n"), read_texts),
    "prompts": (written("prompts.txt", "concept: mug\n"), lambda path: list(_read_prompts(path))),
    "report": (copied(ROOT / "docs/reference/demo-size/report.json"), read_report),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path, kind):
    write, read = READERS[kind]
    path = write(tmp_path)
    plain, expected = path.read_bytes(), read(path)
    path.write_bytes(codecs.BOM_UTF8 + plain)
    assert read(path) == expected
    path.write_bytes(plain.decode("utf-8").encode("utf-16"))
    with pytest.raises(Sam3iEdgeError, match="it is UTF-16 text; save it as UTF-8"):
        read(path)


def test_what_is_no_text(tmp_path):
    (tmp_path / "a").write_bytes("Schlüssel".encode("latin-1"))
    with pytest.raises(ValueError, match=r"it is not UTF-8 text \(byte 4\); save it as UTF-8"):
        read_text(tmp_path / "a")
    with pytest.raises(ValueError, match="it is a device, not a file"):
        read_text("/dev/zero")


def test_numbers_and_nesting_of_any_size():
    assert parse_json(f"[{2**63}, -{2**60}, 1e3]") == [2**63, -(2**60), 1000.0]
    assert parse_json("[" + "9" * 401 + "]") == [math.inf]
    assert parse_json("[-" + "9" * 5000 + "]") == [-math.inf]
    with pytest.raises(ValueError, match="it nests too deep"):
        parse_json("[" * 200_000)
    with pytest.raises(json.JSONDecodeError):
        parse_json("[1,]")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a = " + "9" * 5000, "a whole number of thousands of digits"), ("a = " + "[" * 50_000, "it nests too deep")],
)
def test_toml_likewise(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_toml(tmp_path / "a.toml")
