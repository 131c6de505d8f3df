"""Which file an annotation file's ``file_name`` stands for, and where links may lead."""

import re
import unicodedata

import pytest

from sam3i_edge.data.folder import Folder, NameRefusedError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "ä") for form in ("NFC", "NFD"))


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "dataset/images"
    folder.mkdir(parents=True)
    return folder


def find(images, name):
    return Folder(images, images.parent).find(name)


def refused(images, name):
    with pytest.raises(NameRefusedError) as error:
        find(images, name)
    return str(error.value)


@pytest.mark.parametrize(("on_disk", "asked"), [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED)])
def test_an_accent_is_one_character_or_two(images, on_disk, asked):
    (images / on_disk).mkdir()
    (images / on_disk / f"{on_disk}.png").touch()
    assert find(images, f"{asked}/./{asked}.png") == f"{on_disk}/{on_disk}.png"
    (images / on_disk / f"{asked}.png").touch()
    assert find(images, f"{asked}/{asked}.png") == f"{on_disk}/{asked}.png"  # the exact one, where both are there


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("b.png", "b.png."),
        ("A.PNG", "There is 'a.png': write it so."),
        ("a.png ", "There is 'a.png': write it so."),
        ("sub\\a.png", "Write 'sub/a.png': folders are divided by slashes."),
    ],
)
def test_names_that_nearly_fit(images, name, hint):
    (images / "a.png").touch()
    said = refused(images, name)
    assert said.startswith(f"there is no image {images / name}.")
    assert said.endswith(hint)


def test_links_within_the_dataset_and_of_the_whole_folder(images, tmp_path):
    (images.parent / "originals").mkdir()
    (images.parent / "originals/a.png").touch()
    (images / "a.png").symlink_to("../originals/a.png")
    (images / "sub").symlink_to("../originals")
    (tmp_path / "elsewhere").symlink_to(images.parent)
    for folder in (images, tmp_path / "elsewhere/images"):
        assert find(folder, "a.png") == "a.png"
        assert find(folder, "sub/a.png") == "sub/a.png"
    (images / "b.png").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/images").symlink_to(images)
    assert find(tmp_path / "other/images", "b.png") == "b.png"


def test_links_to_elsewhere_and_nowhere(images, tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private/a.png").touch()
    (images / "a.png").symlink_to(tmp_path / "private/a.png")
    (images / "sub").symlink_to(tmp_path / "private")
    (images / "none.png").symlink_to("nothing.png")
    (images / "circle.png").symlink_to("circle.png")
    expected = f"{images}/a.png is a link to {tmp_path}/private/a.png, outside of the dataset. Copy the image there"
    assert refused(images, "a.png").startswith(expected)
    assert re.search("sub is a link to .*private, outside", refused(images, "sub/a.png"))
    for name in ("none.png", "circle.png"):
        assert refused(images, name) == f"{images / name} is a link that leads nowhere."
    assert Folder(tmp_path / "private", images.parent).find("a.png") == "a.png"  # as --images gives it


def test_a_snapshot_of_a_hub_s_cache(tmp_path):
    snapshot, blobs = tmp_path / "datasets--x/snapshots/0123/images", tmp_path / "datasets--x/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "abc").touch()
    (snapshot / "a.png").symlink_to("../../../blobs/abc")
    assert find(snapshot, "a.png") == "a.png"
    (snapshot / "b.png").symlink_to("/etc/hostname")
    assert "outside of the dataset" in refused(snapshot, "b.png")
