"""The share of a frame outside the graphs: it reaches into OpenVINO's session, which must not change unnoticed."""

import json

from sam3i_edge.benchmarks.overhead import main


def test_a_frame_takes_longer_than_its_graphs(bundle, capsys):
    assert main([str(bundle), "--only", "frame", "--rounds", "1", "--runs", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    frame = found["frame"]
    assert found["device"].startswith("OpenVINO")
    assert 0 < frame["outside_ms"] < frame["frame_ms"] and frame["instances"] > 0
    assert 0 < frame["outside_share"] < 1
