import pytest

from histossl.config.sheets import SlideRow
from histossl.config.training_slides import choose_slides
from histossl.errors import UserError

LABELS = {"s3": ("p1", "a"), "s1": ("p1", ""), "s2": ("p2", "b"), "s5": ("p3", ""), "s4": ("p4", " c ")}
SUBTYPE = {"task": "subtype", "label": "subtype", "classes": None}


@pytest.fixture
def slides():
    return {
        slide: SlideRow(slide, patient, f"{slide}.svs", None, "", {"subtype": label})
        for slide, (patient, label) in LABELS.items()
    }


@pytest.fixture
def patches(tmp_path):
    lines = ["path,label,split,group", "1.png,x,train,p1", "2.png,x,test,p2", "3.png,,test,p9", "4.png,x,test,"]
    (tmp_path / "patches.csv").write_text("\n".join(lines))
    return {"task": "crc", "source": str(tmp_path / "patches.csv"), "layout": "", "split": "test"}


def test_without_a_task_all_are_trained_on_in_the_order_of_their_names(slides):
    assert choose_slides(slides, []) == ["s1", "s2", "s3", "s4", "s5"]


def test_all_slides_of_a_labelled_patient_are_left_out(slides):
    assert choose_slides(slides, [SUBTYPE]) == ["s5"]


def test_a_patient_whose_class_takes_no_part_is_trained_on(slides):
    assert choose_slides(slides, [{**SUBTYPE, "classes": ["a", "b"]}]) == ["s4", "s5"]


def test_patients_of_the_test_patches_are_left_out_and_those_of_the_training_patches_not(slides, patches):
    assert choose_slides(slides, [patches]) == ["s1", "s3", "s4", "s5"]
    assert choose_slides(slides, [{**patches, "split": ""}]) == ["s4", "s5"]


def test_tasks_add_up(slides, patches):
    assert choose_slides(slides, [{**SUBTYPE, "classes": ["a"]}, patches]) == ["s4", "s5"]


def test_nothing_left_is_a_sentence(slides, patches):
    slides.pop("s5")
    with pytest.raises(UserError, match="no slide is left to train on: subtype, crc tests on all 3 patients"):
        choose_slides(slides, [SUBTYPE, patches])


@pytest.mark.parametrize(("group", "said"), [("", r"\(none\)"), ("tile7", r"\(such as 'tile7'\)")])
def test_groups_that_are_no_patients_are_a_sentence(slides, tmp_path, group, said):
    (tmp_path / "patches.csv").write_text(f"path,label,group\n1.png,x,{group}\n")
    task = {"task": "crc", "source": str(tmp_path / "patches.csv"), "layout": "", "split": ""}
    with pytest.raises(UserError, match=f"the groups that 'crc' tests on {said} are no patients"):
        choose_slides(slides, [task])
