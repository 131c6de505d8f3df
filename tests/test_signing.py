"""A signature is of one manifest and one key."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sam3i_edge.bundle import open_bundle
from sam3i_edge.cli import main
from sam3i_edge.errors import BundleError, ConfigError
from sam3i_edge.manifest import fingerprint_of_bundle
from sam3i_edge.signing import sign, verified_fingerprint
from tests.damages import edit

pytest.importorskip("model_signing")


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """As the documentation makes one."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    subprocess.run(
        ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private],
        check=True,
        capture_output=True,
    )
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def test_a_signed_bundle_loads_and_only_its_own_key_and_manifest_pass(bundle, tmp_path, capsys):
    (private, public), (_, other) = key_pair(tmp_path, "key"), key_pair(tmp_path, "other")
    copy = shutil.copytree(bundle, tmp_path / "copy")
    with pytest.raises(BundleError, match=r"copy has no signature model\.sig\. Sign it with: sam3i-edge export --sign"):
        verified_fingerprint(copy, public)
    assert sign(copy, private) == copy / "model.sig"
    assert verified_fingerprint(copy, public) == fingerprint_of_bundle(copy)
    assert open_bundle(copy).fingerprint == fingerprint_of_bundle(bundle), "the loader does not mind the signature"
    assert main(["verify", str(copy), "--key", str(public)]) == 0
    assert f"signed by the owner of {public}" in capsys.readouterr().out
    with pytest.raises(BundleError, match=r"copy is not what the owner of .*other\.pub signed"):
        verified_fingerprint(copy, other)
    edit(provenance={"source": "another"})(copy)
    assert main(["verify", str(copy), "--key", str(public)]) == 1
    assert f"copy is not what the owner of {public} signed: " in capsys.readouterr().err
    (copy / "model.sig").write_text("no signature")
    with pytest.raises(BundleError, match="copy is not what the owner of"):
        verified_fingerprint(copy, public)


def test_anybody_can_check_it(bundle, tmp_path):
    private, public = key_pair(tmp_path, "key")
    copy = shutil.copytree(bundle, tmp_path / "copy")
    sign(copy, private)
    command = ["-m", "model_signing", "verify", "key", copy / "manifest.json", "--signature", copy / "model.sig"]
    done = subprocess.run(
        [sys.executable, *command, "--public_key", public], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_key_that_cannot_be_used_is_named_before_the_export(tmp_path, capsys):
    (tmp_path / "key.pem").write_text("no key")
    assert main(["export", "--sign", str(tmp_path / "key.pem"), "-o", str(tmp_path / "bundle")]) == 1
    assert "key.pem cannot be used: " in (said := capsys.readouterr().err) and "openssl ecparam" in said
    assert not (tmp_path / "bundle").exists()
    with pytest.raises(ConfigError, match=r"The private key .*none\.pem cannot be used: .*No such file"):
        sign(tmp_path, tmp_path / "none.pem") if (tmp_path / "manifest.json").write_text("{}") else None
