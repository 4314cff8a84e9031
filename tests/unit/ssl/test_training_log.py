import json

from histossl.ssl.training_log import read_curve


def test_what_a_kill_left_of_a_line_is_passed_over(tmp_path):
    path = tmp_path / "curve.jsonl"
    lines = [json.dumps({"step": step, "loss": 0.5}) for step in (0, 10, 20, 30)]
    path.write_bytes("\n".join(lines[:3]).encode() + b"\n" + b"\0" * 40 + b"\xff\n" + lines[3][:9].encode())
    assert [line["step"] for line in read_curve(path, 20)] == [0, 10, 20]
    assert [line["step"] for line in read_curve(path, 10)] == [0, 10]
    assert read_curve(tmp_path / "none.jsonl", 10) == []
