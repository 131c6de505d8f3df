"""Comparisons that export, quantize or distill what they measure. Each is run by itself: ``python -m``."""
