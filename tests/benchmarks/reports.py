"""A report with everything in it, made up: for what renders, merges and compares."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np

from sam3i_edge.benchmarks.report import (
    SCHEMA,
    SCHEMA_VERSION,
    Accuracy,
    ColdStart,
    Energy,
    GraphCost,
    LayerTime,
    Machine,
    Picture,
    Ratio,
    Report,
    Roofline,
    RouteAccuracy,
    Run,
    Settings,
    Skipped,
    Sustained,
    Window,
)
from sam3i_edge.benchmarks.statistics import summarize
from sam3i_edge.engine import STAGES

MACHINE = Machine(
    name="test bench",
    system="Linux",
    processor="A Processor",
    architecture="x86_64",
    cores=4,
    memory_mb=8192.5,
    governor="performance",
    power_mode="not reported",
    clock_mhz=2400.0,
    busy_cores_before=0.05,
    load_before=0.25,
    load_after=1.75,
    accelerators=(),
    versions={"python": "3.11.7"},
    environment={},
)


def make_run(name: str, factor: float = 1.0, giou: float | None = 61.25, baseline: bool = False) -> Run:
    dice = np.random.default_rng(3)
    frames = factor * dice.lognormal(5, 0.1, 60)
    shares = dict(zip(STAGES, (0.01, 0.5, 0.04, 0.44, 0.01), strict=True))
    stages = {stage: summarize(share * frames) for stage, share in shares.items()}
    _, jpeg = cv2.imencode(".jpg", np.full((24, 32, 3), 120, np.uint8))
    scores = RouteAccuracy(giou, 58.5, 63.125, 41.75, 17, None if baseline else 0.375, 66.5, 52.25, 3.5, 9.75)
    cost = GraphCost(1.3949, 13.51, 179.34, stages["vision"].p50, 12.51, 36.946, 0.929)
    return Run(
        bundle=name,
        machine=MACHINE.name,
        baseline=baseline,
        runtime="onnxruntime",
        device="ONNX Runtime 1.31 on <CPU>",
        target="x86-cpu",
        precision="fp32",
        threads=0,
        image_size=224,
        checkpoint="tabletop.safetensors",
        checkpoint_sha256="d04b836997e6" + "0" * 52,
        bundle_sha256="1931c2afc239" + "0" * 52,
        bundle_mb=53.02,
        note="",
        recipe={"scheme": "affine", "kept in float": "mask head & query embedding"},
        frame_ms=summarize(frames),
        stages_ms=stages,
        frames_per_second=6.66,
        stages_sum_pct=99.87,
        harness_pct=0.0009,
        scenarios_ms={"reprompt": summarize(0.5 * frames[:9])},
        cold_start=ColdStart(
            summarize([1500.0, 1600.5]),
            {part: summarize([500.0, 530.0]) for part in ("process", "load", "first_frame")},
            2800.25,
        ),
        peak_rss_mb=208.5 * factor,
        energy=Energy("RAPL, package-0", 2.625, 17.5),
        accuracy=Accuracy("tabletop", "val", 40, giou, 33.5, {"concept": scores}, "" if baseline else "torch", 0.375),
        roofline=Roofline(33.87, "fp32 product", 15.18, "copying", {"vision": cost}),
        layers=(LayerTime("vision", "conv<1>", "Conv", 20.81, 12.96),),
        sustained=Sustained(600.0, tuple(Window(60.0 * i, 400, 150.0 + i, None, None) for i in (1, 2, 3)), 1.0132, 0),
        pictures=(Picture("kitchen.jpg", 'the "red" mug', "simple", 2, base64.b64encode(jpeg.tobytes()).decode()),),
    )


def make_report(**changes: object) -> Report:
    runs = (make_run("int8 bundle", 0.5, 60.875), make_run("torch", baseline=True))
    report = Report(
        schema=SCHEMA,
        schema_version=SCHEMA_VERSION,
        created="2026-11-25T03:36:58+00:00",
        partial=False,
        settings=(
            Settings(
                frame="an image in, masks out",
                scenarios={"reprompt": "a new text on an image that is already encoded"},
                method="by turns, 95 % interval",
                rounds=60,
                warm_up=3,
                seed=0,
                images=("kitchen.jpg, 640 x 480",),
                command="sam3i-edge benchmark 'int8 bundle' --baseline torch",
            ),
        ),
        machines=(MACHINE,),
        runs=runs,
        ratios=(
            Ratio("int8 bundle", "torch", MACHINE.name, "frame", 0.5012, (0.4951, 0.5083), 60),
            Ratio("int8 bundle", "torch", MACHINE.name, "reprompt", 0.4987, (0.4811, 0.5264), 9),
        ),
        skipped=(Skipped("jetson", "it is for aarch64 (target jetson); this processor is x86_64"),),
        notes=("test bench was busy: load 0.25",),
    )
    return replace(report, **changes)
