"""The sub-commands of ``sam3i-edge``, one module each."""
