import pytest

from histossl.errors import UserError
from histossl.tables.predictions import read_predictions, write_predictions

COLUMNS = ["task", "encoder", "path", "group", "label", "p_a", "p_b"]
ROWS = [("t", "e", "1.png", "g", "a", 0.25, 0.75), ("t", "e", "2.png", "g", "b", 0.5, 0.5)]


def read(path, *others):
    return read_predictions([path], ["task", "encoder"], ["path"], others)


def test_rows_come_back_by_method_in_the_order_of_their_key(tmp_path):
    write_predictions(tmp_path / "p.csv", COLUMNS, ROWS[::-1])
    found = read(tmp_path / "p.csv", "group", "label")
    assert list(found) == [("t", "e")]
    assert [(row["path"], row["p_b"]) for row in found["t", "e"]] == [("1.png", "0.75"), ("2.png", "0.5")]


@pytest.mark.parametrize("number", ["nan", "inf", "", "high"])
def test_a_probability_that_is_no_number_is_named(tmp_path, number):
    write_predictions(tmp_path / "p.csv", COLUMNS, [ROWS[0], (*ROWS[1][:-1], number)])
    with pytest.raises(UserError, match=rf"p\.csv: prediction 2: p_b is '{number}', which is no finite number"):
        read(tmp_path / "p.csv")


def test_what_is_no_prediction_file_is_named(tmp_path):
    path = tmp_path / "p.csv"
    with pytest.raises(UserError, match="not a readable prediction file"):
        read(path)
    path.write_bytes(b"task,encoder,path\n\xff\xfe\n")
    with pytest.raises(UserError, match="not a readable prediction file"):
        read(path)
    write_predictions(path, COLUMNS, [])
    with pytest.raises(UserError, match="has no predictions"):
        read(path)
    write_predictions(path, COLUMNS, ROWS)
    with pytest.raises(UserError, match="there is no column 'target'"):
        read(path, "target")
    path.write_text(path.read_text().rsplit(",", 3)[0] + "\n")
    with pytest.raises(UserError, match=r"prediction 2: p_a is None, which is no finite number"):
        read(path)


def test_a_file_that_is_given_twice_is_refused(tmp_path):
    write_predictions(tmp_path / "p.csv", COLUMNS, ROWS)
    with pytest.raises(UserError, match=r"'t e' has two predictions of path 1\.png; give each file once"):
        read_predictions([tmp_path / "p.csv"] * 2, ["task", "encoder"], ["path"])
