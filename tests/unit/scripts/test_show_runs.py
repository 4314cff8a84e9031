import show_runs


def test_without_a_record_the_page_says_so(tmp_path):
    show_runs.main([f"--records={tmp_path}", f"--logs={tmp_path}", f"--output={tmp_path / 'runs.html'}"])
    assert "No run has left a record" in (tmp_path / "runs.html").read_text()
