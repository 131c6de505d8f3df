"""What comes with the package: a small trained SAM3-I, and rendered scenes to try it on."""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "tabletop.safetensors"
STUDENT = Path(__file__).parent / "student" / "student.safetensors"
"""Distilled from it: a smaller one."""
SCENES = Path(__file__).parent / "scenes" / "sam3i_demo.json"
"""Six scenes with a text of each level, in the HMPL-Instruct layout."""
