import math
import os

import pytest

from histossl.errors import UserError
from histossl.patch_datasets.listing import (
    LabelledPatch,
    fingerprint_pictures,
    pick_labelled,
    read_patch_dataset,
)


def sheet(tmp_path, content):
    path = tmp_path / "patches.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_folder_for_each_class_is_a_data_set(tmp_path):
    left_behind = ("TUM/._b.png", ".ipynb_checkpoints/x.png", "__MACOSX/TUM/y.png", "TUM/.cache/z.png")
    for name in ("TUM/b.png", "TUM/a.JPG", "TUM/p1/d.png", "STR/c.tif", "STR/notes.txt", "loose.png", *left_behind):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    patches = read_patch_dataset(tmp_path)
    assert [(patch.name, patch.label) for patch in patches] == [
        ("STR/c.tif", "STR"),
        ("TUM/a.JPG", "TUM"),
        ("TUM/b.png", "TUM"),
        ("TUM/p1/d.png", "TUM"),
    ]
    assert all(patch.path == tmp_path / patch.name and math.isnan(patch.target) for patch in patches)


def test_a_sheet_is_read_in_its_order_with_paths_beside_it(tmp_path):
    content = "path,label,split,group,target\nz/ü.png,TUM,train,p1,0.5\n /abs/b.png , STR ,test,,\n"
    first, second = read_patch_dataset(sheet(tmp_path, content))
    assert first == LabelledPatch(tmp_path / "z/ü.png", "z/ü.png", "TUM", "train", "p1", 0.5)
    assert (str(second.path), second.label, second.group) == ("/abs/b.png", "STR", "")
    assert math.isnan(second.target)


@pytest.mark.parametrize("header", ["path,label", "path,target", "target,path"])
def test_label_or_target_is_enough(tmp_path, header):
    assert len(read_patch_dataset(sheet(tmp_path, f"{header}\n1,2\n"))) == 1


def test_a_byte_order_mark_is_ignored(tmp_path):
    assert read_patch_dataset(sheet(tmp_path, "\ufeffpath,label\na,b\n"))[0].name == "a"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "needs the column path and label or target, but has nothing"),
        ("label\nx\n", "needs the column path"),
        ("path,split\na,b\n", "but has path, split"),
        ("path,label\n", "holds no patch"),
        ("path,label\na,b\n\n,c\n", "line 4 has no path"),
        ("path,target\na,high\n", "line 2 has the target 'high'"),
        ("path,target\na,inf\n", "line 2 has the target 'inf'"),
        ('path,target\na,"0,5"\n', "line 2 has the target '0,5'"),
        ("path,label\na,b,c\n", "line 2 has more fields than the header"),
        ("path,label\na,Müller\n".encode("latin-1"), "not a UTF-8 text file"),
        ('path,label\n"a,b\n' + "c,d\n" * 40_000, "not a CSV file"),
    ],
)
def test_a_sheet_that_cannot_be_used_is_named_with_its_fault(tmp_path, content, said):
    with pytest.raises(UserError) as raised:
        read_patch_dataset(sheet(tmp_path, content))
    assert str(raised.value).startswith(str(tmp_path / "patches.csv"))
    assert said in str(raised.value)


def test_a_missing_source_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such sheet or folder"):
        read_patch_dataset(tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no patch"):
        read_patch_dataset(tmp_path)


def test_what_is_still_packed_is_to_be_unpacked(tmp_path):
    (tmp_path / "NCT-CRC-HE-100K.zip").touch()
    with pytest.raises(UserError, match=r"100K\.zip: still packed; unpack it and name the folder"):
        read_patch_dataset(tmp_path / "NCT-CRC-HE-100K.zip")
    with pytest.raises(UserError, match=r"holds no patch; .* in it; unpack NCT-CRC-HE-100K\.zip"):
        read_patch_dataset(tmp_path)


def test_the_fingerprint_of_pictures_follows_names_sizes_and_dates_but_not_their_place(tmp_path):
    def dataset(name, content, date=1):
        folder = tmp_path / name / "a"
        folder.mkdir(parents=True)
        for picture, data in content.items():
            (folder / picture).write_bytes(data)
            os.utime(folder / picture, ns=(date, date))
        return fingerprint_pictures(tmp_path / name)

    first = dataset("first", {"1.png": b"x", "2.png": b"yy"})
    assert dataset("moved", {"1.png": b"x", "2.png": b"yy"}) == first
    assert dataset("changed", {"1.png": b"x", "2.png": b"zz"}, 2) != first
    assert len({first, dataset("more", {"1.png": b"x"}), dataset("grown", {"1.png": b"x", "2.png": b"yyy"})}) == 3


def test_a_picture_that_is_not_there_is_named(tmp_path):
    (tmp_path / "patches.csv").write_text("path,label\ngone.png,a\n")
    with pytest.raises(UserError, match=r"gone\.png"):
        fingerprint_pictures(tmp_path / "patches.csv")


LABELLED = "path,label,split\n1,a,train\n2,b,train\n3,,train\n4,a,test\n5,c,\n"


def test_labelled_patches_are_picked_from_a_split_or_all(tmp_path):
    source = sheet(tmp_path, LABELLED)
    patches = read_patch_dataset(source)
    assert [patch.name for patch in pick_labelled(patches, source)] == ["1", "2", "4", "5"]
    assert [patch.name for patch in pick_labelled(patches, source, "train")] == ["1", "2"]


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("trian", "has no split 'trian'; did you mean 'train'"),
        ("zzz", "has no split 'zzz'; there are train, test"),
        ("test", r"its split 'test' has 1 labelled patches of 1 class\(es\), where two classes are needed"),
    ],
)
def test_a_split_that_is_not_there_or_has_no_two_classes_is_named(tmp_path, split, said):
    source = sheet(tmp_path, LABELLED)
    with pytest.raises(UserError, match=f"patches.csv: {said}"):
        pick_labelled(read_patch_dataset(source), source, split)


def test_a_data_set_without_labels_is_named(tmp_path):
    source = sheet(tmp_path, "path,target\n1,0.5\n2,0.7\n")
    with pytest.raises(UserError, match="has 0 labelled patches"):
        pick_labelled(read_patch_dataset(source), source)
