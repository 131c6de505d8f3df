"""Calibration, quantizers and precision search. Empty so far: every bundle is FP32."""
