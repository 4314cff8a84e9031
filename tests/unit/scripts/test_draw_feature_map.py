import json

import draw_feature_map
from tests.unit.figures.conftest import drawn, texts  # noqa: F401


def test_a_map_and_a_reason_are_drawn(tmp_path, drawn):  # noqa: F811
    by = {"label": {"silhouette": 0.5, "purity": 1.0, "chance": 0.4}, "split": dict.fromkeys(("silhouette",))}
    for reason, lines in (("", "a.png,A,,0,1\nb.png,B,,1,0\n"), ("No map: none.", "")):
        (tmp_path / "p.csv").write_text(f"path,label,split,x,y\n{lines}")
        facts = {"reason": reason, "patches": 2, "patches_labelled": 2, "neighbours": 5, "by": by}
        (tmp_path / "f.json").write_text(json.dumps(facts))
        files = {"points": "p.csv", "facts": "f.json", "svg": "a.svg", "png": "a.png"}
        options = [f"--{name}={tmp_path / file}" for name, file in files.items()]
        draw_feature_map.main(["--encoder=net", "--dataset=set", *options])
    assert "net on set (2 of 2 patches)" in texts(drawn[0])
    assert "net on set: No map: none." in texts(drawn[1])
    assert (tmp_path / "a.svg").is_file() and (tmp_path / "a.png").is_file()
