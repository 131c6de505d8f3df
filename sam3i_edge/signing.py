"""Signatures of bundles, by OpenSSF's ``model-signing``: who made the bundle, and that nobody changed it since.

What is signed is ``manifest.json``, which pins every byte of the others.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from sam3i_edge.bundle import SIGNATURE_FILE
from sam3i_edge.errors import BundleError, ConfigError, packages_for
from sam3i_edge.manifest import MANIFEST_FILE, fingerprint_of, manifest_bytes


def sign(bundle: str | Path, key: str | Path) -> Path:
    """Sign a bundle with an elliptic-curve private key (PEM, not encrypted), in place of any signature that it has.

    Returns:
        The signature's file, ``model.sig`` in the bundle.

    Raises:
        ConfigError: the key cannot be used.
        BundleError: it is no bundle, or its folder cannot be written.
        RuntimeUnavailableError: ``model-signing`` is not installed.
    """
    content, signer = manifest_bytes(Path(bundle)), check_private_key(key)
    signature = Path(bundle) / SIGNATURE_FILE
    try:
        with tempfile.TemporaryDirectory() as folder:
            signer.sign(_written(folder, content), signature)
    except OSError as error:
        raise BundleError(f"{signature} cannot be written: {error}.") from error
    return signature


def check_private_key(key: str | Path) -> Any:
    """What signs with a key: before the long work whose result it is to sign. Raises as ``sign``."""
    with packages_for("Signing", "sign"):
        from model_signing import signing
    try:
        return signing.Config().use_elliptic_key_signer(private_key=key)
    except (OSError, ValueError, TypeError) as error:  # a TypeError says that it is encrypted
        raise ConfigError(f"The private key {key} cannot be used: {_reason(error)} {HOW_TO_MAKE_ONE}") from error


def verified_fingerprint(bundle: str | Path, key: str | Path) -> str:
    """The fingerprint of a bundle whose manifest is what the owner of a public key (PEM) signed.

    Give it as ``expect`` to what opens the bundle, which checks all other files.

    Raises:
        ConfigError: the key cannot be used.
        BundleError: there is no signature, or it is not of this manifest and key.
        RuntimeUnavailableError: ``model-signing`` is not installed.
    """
    with packages_for("Checking a signature", "sign"):
        from model_signing import verifying
    content, signature = manifest_bytes(Path(bundle)), Path(bundle) / SIGNATURE_FILE
    if not signature.is_file():
        raise BundleError(f"{bundle} has no signature {SIGNATURE_FILE}. Sign it with: sam3i-edge export --sign KEY")
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"The public key {key} cannot be used: {_reason(error)} Give the public key of whoever signed the bundle, "
            f"not a private one."
        ) from error
    try:
        with tempfile.TemporaryDirectory() as folder:
            verifier.verify(_written(folder, content), signature)
    except Exception as error:  # of many kinds: the file is no signature, of another key, or of another manifest
        raise BundleError(
            f"{bundle} is not what the owner of {key} signed: another key made its signature, or its manifest was "
            f"changed. Do not use it."
        ) from error
    return fingerprint_of(content)


HOW_TO_MAKE_ONE = (
    "Make a pair with: openssl ecparam -name prime256v1 -genkey -noout -out key.pem; "
    "openssl ec -in key.pem -pubout -out key.pub"
)


def _reason(error: Exception) -> str:
    """What is wrong with a key, as a sentence."""
    said = (error.strerror if isinstance(error, OSError) else str(error).strip()) or type(error).__name__
    return f"{said.splitlines()[0].rstrip('.? ')}."


def _written(folder: str, content: bytes) -> Path:
    """A copy that nobody else changes while it is hashed."""
    file = Path(folder) / MANIFEST_FILE
    file.write_bytes(content)
    return file
