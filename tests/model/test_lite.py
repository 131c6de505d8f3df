"""Backbones of timm: the same pyramid, the same checkpoints, and what is said of those that do not fit."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sam3i_edge.errors import ConfigError
from sam3i_edge.model import Sam3i, load
from sam3i_edge.model.lite import LiteBackbone, import_timm
from sam3i_edge.train.loop import save_model
from sam3i_edge.train.stages import STAGES
from tests.distill.conftest import CONFIG
from tests.train.conftest import with_backbone


@pytest.mark.parametrize("backbone", ["efficientvit_b0", "repvit_m0_9", "fastvit_t8", "tiny_vit_5m_224"])
def test_the_pyramid_has_the_teachers_shapes(backbone):
    picture = torch.rand(1, 3, CONFIG.image_size, CONFIG.image_size)
    with torch.inference_mode():
        wanted = Sam3i(CONFIG).eval().encode_image(picture)
        vision = LiteBackbone(with_backbone(CONFIG, backbone)).eval()
        pyramid = vision(picture)
        assert [level.shape for level in pyramid] == [level.shape for level in wanted]
        for level, alone in zip(pyramid[1:], vision(picture, finest=1), strict=True):
            assert torch.equal(level, alone)


@pytest.mark.parametrize("backbone", ["repvit_m0_9", "fastvit_t8"])
def test_branches_that_only_training_needs_are_put_together(backbone):
    vision = LiteBackbone(with_backbone(CONFIG, backbone)).train()
    picture = torch.rand(2, 3, CONFIG.image_size, CONFIG.image_size)
    vision(picture)  # the norms have seen something
    fused = vision.eval().fused()
    with torch.inference_mode():
        for a, b in zip(fused(picture), vision(picture), strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
    assert len(list(fused.modules())) < len(list(vision.modules()))


def test_a_checkpoint_comes_back_with_what_its_norms_have_seen(tmp_path):
    model = Sam3i(with_backbone(CONFIG, "efficientvit_b0")).train()
    picture = torch.rand(2, 3, CONFIG.image_size, CONFIG.image_size)
    model.encode_image(picture)
    save_model(model, tmp_path / "lite.safetensors")
    model.config.write_beside(tmp_path / "lite.safetensors")
    again = load(tmp_path / "lite.safetensors", tmp_path / "config.json")
    with torch.inference_mode():
        for a, b in zip(again.encode_image(picture), model.eval().encode_image(picture), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("repvit_m9", "repvit_m0_9"),
        ("coatnet_nano_rw_224", r"takes pictures of 224 x 224 alone, and \d+ cells .* need \d+\. .* such as effi"),
        ("vit_tiny_patch16_224", r"levels of strides \[16, 16.*it must have \(4, 8, 16, 32\)"),
        ("swin_tiny_patch4_window7_224", r"has its channels last, .* such as efficientvit_b0, "),
    ],
)
def test_a_backbone_that_does_not_fit_is_refused(backbone, message):
    with pytest.raises(ConfigError, match=message):
        LiteBackbone(with_backbone(CONFIG, backbone))


def test_a_picture_without_a_level_of_half_as_many_cells_is_refused():
    with pytest.raises(ConfigError, match=r"even number of patches on a side.*image_size 70 has 5 of 14"):
        dataclasses.replace(with_backbone(CONFIG, "efficientvit_b0"), image_size=70)


def test_a_backbone_with_names_like_unread_parameters_learns():
    model = Sam3i(with_backbone(CONFIG, "res2net50_14w_8s"))
    names = [name for name, _ in model.named_parameters() if ".body." in name]
    assert any(".convs.3." in name for name in names)
    assert all(STAGES["encoders"].is_trained(name) for name in names)


def test_weights_that_cannot_be_fetched_are_named(monkeypatch):
    vision = LiteBackbone(with_backbone(CONFIG, "efficientvit_b0"))

    def offline(*_arguments, **_options):
        raise OSError("no route to host")

    monkeypatch.setattr(import_timm(), "create_model", offline)
    with pytest.raises(
        ConfigError, match=r"efficientvit_b0 cannot be had \(OSError: no route to host\).*leave --pretr"
    ):
        vision.load_pretrained()


@pytest.mark.parametrize("backbone", ["efficientvit_b0", "repvit_m0_9"])
def test_weights_of_timm_are_taken(backbone, monkeypatch):
    """They come with the counters of their norms, which our models leave out."""
    known = import_timm().create_model(backbone, features_only=True)
    vision = LiteBackbone(with_backbone(CONFIG, backbone))
    monkeypatch.setattr(import_timm(), "create_model", lambda *_arguments, **_options: known)
    vision.load_pretrained()
    taken, given = vision.body.state_dict(), known.state_dict()
    assert all(torch.equal(taken[name], given[name]) for name in taken)
    assert set(given) - set(taken) == {name for name in given if name.endswith("num_batches_tracked")}


def test_weights_of_another_backbone_are_refused(monkeypatch):
    known = import_timm().create_model("repvit_m0_9", features_only=True)
    vision = LiteBackbone(with_backbone(CONFIG, "efficientvit_b0"))
    monkeypatch.setattr(import_timm(), "create_model", lambda *_arguments, **_options: known)
    with pytest.raises(RuntimeError, match=r"Unexpected key"):
        vision.load_pretrained()
