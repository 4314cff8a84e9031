import pytest

from histossl.encoders.hub_location import HubLocation, on_hub, parse_hub_location
from histossl.errors import UserError


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hf-hub:MahmoodLab/UNI2-h", ("MahmoodLab/UNI2-h", None, None)),
        ("hf_hub:prov-gigapath/prov-gigapath", ("prov-gigapath/prov-gigapath", None, None)),
        ("hf-hub:1aurent/vit_small_patch16_224.lunit_dino", ("1aurent/vit_small_patch16_224.lunit_dino", None, None)),
        ("hf-hub:majiabo/GPFM/GPFM.pth", ("majiabo/GPFM", None, "GPFM.pth")),
        ("hf-hub:a/b@v1.0/folder/w.bin", ("a/b", "v1.0", "folder/w.bin")),
        ("hf-hub:a/b@0f3c", ("a/b", "0f3c", None)),
    ],
)
def test_a_name_is_taken_apart(name, parts):
    assert on_hub(name)
    assert parse_hub_location(name) == HubLocation(*parts)


@pytest.mark.parametrize("name", ["hf-hub:", "hf-hub:UNI", "hf-hub:a b/c", "hf-hub:a/b/", "hf-hub:a/b@", "a/b"])
def test_what_names_nothing_is_a_sentence(name):
    with pytest.raises(UserError, match=rf"'{name}' names nothing on the Hugging Face hub; write hf-hub:owner/name"):
        parse_hub_location(name)


@pytest.mark.parametrize("name", ["weights.pt", "hf-hub/weights.pt", True, False, None, "resnet50"])
def test_other_names_are_not_on_the_hub(name):
    assert not on_hub(name)
