"""What was found as a COCO dataset: what ``segment --json`` prints, as the C++ tool does. See docs/output.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sam3i_edge.instances import Instances

SCHEMA, SCHEMA_VERSION = "sam3i-edge segments", 1


def coco_document(file_name: str, found: Sequence[Instances], thresholds: Mapping[str, float]) -> dict[str, Any]:
    """One image with what its prompts found, each prompt a category; plain values for JSON.

    ``pycocotools.coco.COCO`` reads it from a file, ``loadRes`` its "annotations".

    Args:
        file_name: of the image, for the record.
        found: of each prompt, at least one; all of the same image.
        thresholds: least scores by route, for the record.
    """
    width, height = found[0].width, found[0].height
    annotations = [one for i, instances in enumerate(found) for one in instances.to_coco(category_id=i + 1)]
    return {
        "info": {"schema": SCHEMA, "schema_version": SCHEMA_VERSION},
        "images": [{"id": 1, "file_name": file_name, "width": width, "height": height}],
        "categories": [
            {"id": i + 1, "name": one.prompt.text, "route": one.route, "threshold": thresholds[one.route]}
            for i, one in enumerate(found)
        ],
        "annotations": [{"id": i + 1, **one} for i, one in enumerate(annotations)],
    }
