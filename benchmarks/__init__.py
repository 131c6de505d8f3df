"""Timing, accuracy and reports. Empty so far."""
