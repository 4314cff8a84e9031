import json

import pytest

import measure_cost
from histossl.errors import UserError
from histossl.figures.cost import read_costs


def test_costs_of_trained_other_and_imported_encoders(tmp_path, encoder_file):
    curve, logs = tmp_path / "training.jsonl", tmp_path / "logs"
    curve.write_text('{"step": 9, "hours": 0.5}\n')
    said = {
        "pretrain/net.log": "[net] training for 9 steps of 4 patches, 2 process(es) on cuda\n",
        "embed_slides/net/p64/0.log": "[embed net] 3/3 slides, 100 images/s, took 0:02\n",
        "embed_patches/net/crc.log": "[embed net] 9/9 patches, 300 images/s, took 0:02\n",
    }
    for name, text in said.items():
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_text(text)
    encoders = {
        "net": {"encoder": str(encoder_file), "curve": str(curve)},
        "net_untrained": {"encoder": str(encoder_file), "curve": ""},
        "imported": {"encoder": "", "curve": ""},
    }
    output = tmp_path / "cost.csv"
    measure_cost.main([f"--encoders={json.dumps(encoders)}", f"--logs={logs}", f"--output={output}"])
    net, untrained, imported = read_costs(output).values()
    assert (net.hours, net.device, net.images_per_s) == (1.0, "cuda", 200)
    assert untrained.parameters == net.parameters > 1000 and untrained.hours is None
    assert (imported.parameters, imported.hours, imported.images_per_s) == (None, None, None)


def test_a_damaged_encoder_is_named(tmp_path):
    (tmp_path / "encoder.pt").write_bytes(b"no encoder")
    encoders = json.dumps({"net": {"encoder": str(tmp_path / "encoder.pt"), "curve": ""}})
    with pytest.raises(UserError, match="not a readable encoder file"):
        measure_cost.main([f"--encoders={encoders}", f"--logs={tmp_path}", f"--output={tmp_path / 'cost.csv'}"])
