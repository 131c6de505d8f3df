"""The feature cache: whole or absent, and of one teacher and one dataset."""

from __future__ import annotations

import dataclasses
import fcntl
import pickle
import shutil

import pytest
import torch

from sam3i_edge.distill import cache as feature_cache
from sam3i_edge.distill.cache import FeatureCache, fill, identity
from sam3i_edge.distill.recipe import RECIPES
from sam3i_edge.distill.stages import PictureSet, collate_pictures, stage_of
from sam3i_edge.distill.teacher import Teacher
from sam3i_edge.errors import ConfigError, TrainingError
from sam3i_edge.model.vision import normalize
from tests.distill.conftest import CONFIG


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(feature_cache, "SHARD_IMAGES", 4)
    monkeypatch.setattr(feature_cache, "BATCH", 3)


@pytest.fixture
def about(teacher_file, samples):
    return identity(teacher_file, samples, CONFIG.image_size)


@pytest.fixture
def filled(teacher, samples, about, tmp_path):
    fill(tmp_path / "cache", teacher, samples, about)
    return tmp_path / "cache"


def test_progress_is_told(teacher, samples, about, filled):
    steps = []
    fill(filled, teacher, samples, about, lambda done, every: steps.append((done, every)))
    assert steps == [(4, 10), (8, 10), (10, 10)]


def test_it_holds_what_the_teacher_sees(teacher, samples, about, filled):
    cache = pickle.loads(pickle.dumps(FeatureCache(filled, about)))  # noqa: S301  # as a worker process gets it
    batch = collate_pictures([PictureSet(samples, 56, cache=cache)[i, 0] for i in (9, 0, 5)])
    with torch.inference_mode():
        wanted = teacher.encode_image(normalize(batch.images))
    for found, level in zip(batch.pyramid, wanted, strict=True):
        torch.testing.assert_close(found.float(), level, rtol=2e-3, atol=2e-3)


def test_a_cut_at_any_byte_leaves_a_cache_that_goes_on(teacher, samples, about, filled, tmp_path):
    """Every state that a kill can leave: some whole shards, and any beginning of the next file."""
    files = sorted(filled.glob("*.safetensors"))
    before = {file.name: file.read_bytes() for file in files}
    content = files[1].read_bytes()
    for cut in (0, 1, len(content) // 2, len(content) - 1):
        killed = tmp_path / f"killed{cut}"
        shutil.copytree(filled, killed)
        for file in files[1:]:
            (killed / file.name).unlink()
        partial = killed / f"{files[1].name}.partial-x"
        partial.write_bytes(content[:cut])
        with pytest.raises(TrainingError, match=r"lacks 2 shards\. Fill it again: it goes on"):
            FeatureCache(killed, about)
        fill(killed, teacher, samples, about)
        assert not partial.exists()
        assert {file.name: file.read_bytes() for file in killed.glob("*.safetensors")} == before
    only_about = tmp_path / "killed-early"
    only_about.mkdir()
    shutil.copy(filled / "about.json", only_about)
    fill(only_about, teacher, samples, about)
    assert sorted(file.name for file in only_about.glob("*.safetensors")) == sorted(before)


def test_what_another_run_is_writing_is_left_to_it(teacher, samples, about, filled):
    shard = sorted(filled.glob("*.safetensors"))[1]
    partial = shard.rename(shard.with_name(f"{shard.name}.partial-1-x"))
    with partial.open("rb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        fill(filled, teacher, samples, about)
        assert partial.exists()
    partial.replace(shard)
    assert FeatureCache(filled, about)[4]


def test_a_damaged_shard_is_noticed_and_replaced(teacher, samples, about, filled):
    file = sorted(filled.glob("*.safetensors"))[1]
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    cache = FeatureCache(filled, about)
    assert cache[0]
    with pytest.raises(TrainingError, match=r"is damaged\. Fill the cache again"):
        cache[4]
    fill(filled, teacher, samples, about)
    assert file.read_bytes() == whole


def test_another_teacher_or_other_data_are_refused(teacher, teacher_file, samples, about, filled):
    fewer = identity(teacher_file, samples[1:], CONFIG.image_size)
    for other, named in ((about | {"teacher": "0" * 64}, "teacher"), (fewer, "data, images")):
        with pytest.raises(TrainingError, match=f"was made with other {named}"):
            FeatureCache(filled, other)
        with pytest.raises(TrainingError, match=f"was made with other {named}"):
            fill(filled, teacher, samples, other)


def test_a_folder_of_something_else_is_left_alone(teacher, samples, about, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match="is not empty and holds no feature cache"):
        fill(tmp_path, teacher, samples, about)
    with pytest.raises(TrainingError, match="There is no feature cache in"):
        FeatureCache(tmp_path, about)


def test_augmented_images_do_not_fit_it(teacher, samples, about, filled):
    recipe = dataclasses.replace(RECIPES["tabletop"]["vision"], least_scale=0.5)
    with pytest.raises(ConfigError, match=r"least_scale is 0\.5: a feature cache has the images at their own scale"):
        stage_of(teacher, Teacher(teacher), "vision", samples, recipe, FeatureCache(filled, about))
