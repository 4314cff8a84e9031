import csv

import summarise_costs


def test_without_a_benchmark_there_is_a_table_and_a_note(tmp_path):
    outputs = [f"--{name}={tmp_path / f'costs.{end}'}" for name, end in (("csv", "csv"), ("markdown", "md"))]
    folders = [f"--benchmarks={tmp_path / 'none'}", f"--logs={tmp_path}"]
    summarise_costs.main([*folders, "--stages", "pretrain", *outputs, f"--latex={tmp_path / 'costs.tex'}"])
    with (tmp_path / "costs.csv").open(encoding="utf-8", newline="") as file:
        assert [(row["stage"], row["jobs"]) for row in csv.DictReader(file)] == [("all", "0")]
    assert "energy, were not measured" in (tmp_path / "costs.md").read_text()
