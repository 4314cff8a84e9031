import pandas as pd
import pytest

from histossl.errors import UserError
from histossl.splits.clam import find_split_files, read_split_file


def write_plain(path, **sets):
    """As CLAM writes it: columns of slide ids beside each other, through pandas."""
    pd.concat([pd.Series(slides) for slides in sets.values()], axis=1, keys=list(sets)).to_csv(path)


def write_bool(path, **sets):
    rows = {slide: [name == place for name in sets] for place, slides in sets.items() for slide in slides}
    pd.DataFrame.from_dict(rows, orient="index", columns=list(sets)).to_csv(path)


def test_the_file_of_ids_goes_before_that_of_true_and_false_and_descriptors_are_passed_over(tmp_path):
    for fold in range(3):
        (tmp_path / f"splits_{fold}.csv").touch()
        (tmp_path / f"splits_{fold}_descriptor.csv").touch()
    (tmp_path / "notes.txt").touch()
    write_bool(tmp_path / "splits_0_bool.csv", train=["s"], val=[], test=["t"])
    write_bool(tmp_path / "splits_12_bool.csv", train=["s"], val=[], test=["t"])
    found = find_split_files(tmp_path)
    assert {number: path.name for number, path in found.items()} == {
        **{number: f"splits_{number}.csv" for number in range(3)},
        12: "splits_12_bool.csv",
    }
    assert list(found) == [0, 1, 2, 12]


def test_a_file_without_the_column_of_row_numbers_is_read_as_well(tmp_path):
    (tmp_path / "splits_0.csv").write_text("train,val,test\na,b,c\nd,,\n")
    assert read_split_file(tmp_path / "splits_0.csv") == [("train", "a"), ("train", "d"), ("val", "b"), ("test", "c")]


def test_an_id_that_ends_like_a_number_stays_where_the_sheet_has_it(tmp_path):
    write_plain(tmp_path / "splits_0.csv", train=["7.0", "8.0", "v1.0"], val=["9"], test=["10.0"])
    entries = read_split_file(tmp_path / "splits_0.csv", known={"7.0"})
    assert entries == [("train", "7.0"), ("train", "8"), ("train", "v1.0"), ("val", "9"), ("test", "10")]


def test_a_folder_without_split_files_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder of split files"):
        find_split_files(tmp_path / "nowhere")
    (tmp_path / "splits_0_descriptor.csv").touch()
    with pytest.raises(UserError, match=r"has no split files \(splits_0\.csv"):
        find_split_files(tmp_path)
