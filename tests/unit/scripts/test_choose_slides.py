import choose_slides


def test_slides_are_listed_one_a_line(tmp_path, as_json):
    sheet = "slide,patient,path,subtype\nb\u2028 ü,p1,b.svs,\na,p2,a.svs,\nc,p2,c.svs,x\n"
    (tmp_path / "slides.csv").write_text(sheet, encoding="utf-8")
    for tested, expected in (
        ([], "a\nb\u2028 ü\nc\n"),
        ([{"task": "t", "label": "subtype", "classes": None}], "b\u2028 ü\n"),
    ):
        arguments = [f"--sheet={tmp_path / 'slides.csv'}", f"--tested={as_json(tested)}"]
        choose_slides.main([*arguments, f"--output={tmp_path / 'slides.txt'}"])
        assert (tmp_path / "slides.txt").read_bytes() == expected.encode()
