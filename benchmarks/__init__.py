"""Timing, accuracy and reports: what a bundle takes on this machine, beside how good its answers are.

One definition of a frame stands behind every number, see ``scenarios``. ``docs/benchmarks.md`` says how to reproduce.
"""
