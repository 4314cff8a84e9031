import pytest
import timm
import torch
from safetensors.torch import save_file

from histossl.encoders.published import load_backbone
from histossl.encoders.transformers_names import translate_names
from histossl.errors import UserError

SMALL = {"img_size": 32, "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
# transformers' class, timm's network, and what differs in the names of a block.
VIT = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
DINOV2 = {"ls1.gamma": "layer_scale1.lambda1", "ls2.gamma": "layer_scale2.lambda1"}
SWIGLU = {**DINOV2, "mlp.fc1": "mlp.weights_in", "mlp.fc2": "mlp.weights_out"}
KINDS = {
    "ViTModel": ("vit_base_patch16_224", {}, VIT),
    "Dinov2Model": ("vit_large_patch14_dinov2", {}, DINOV2),
    "Dinov2Model with SwiGLU": ("vit_giant_patch14_dinov2", {}, SWIGLU),
    "Dinov2WithRegistersModel": ("vit_large_patch14_reg4_dinov2", {}, DINOV2),
}


def network_of(kind):
    model, more, _ = KINDS[kind]
    torch.manual_seed(4)
    network = timm.create_model(model, num_classes=0, **SMALL, **more).eval()
    for value in network.parameters():
        value.data.normal_(std=0.3)
    return network


def transformers_file(network, block, prefix=""):
    """The same weights under the names that transformers gives them, written down from its files."""
    own = network.state_dict()
    tensors = {
        "embeddings.patch_embeddings.projection.weight": own["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.projection.bias": own["patch_embed.proj.bias"],
        "embeddings.cls_token": own["cls_token"],
        "embeddings.position_embeddings": own["pos_embed"],
        "embeddings.mask_token": torch.zeros(1, 32),
        "layernorm.weight": own["norm.weight"],
        "layernorm.bias": own["norm.bias"],
        "pooler.dense.weight": torch.zeros(32, 32),
    }
    if "reg_token" in own:
        first = torch.randn(1, 1, 32)
        tensors["embeddings.register_tokens"] = own["reg_token"]
        tensors["embeddings.position_embeddings"] = torch.cat([first, own["pos_embed"]], dim=1)
        tensors["embeddings.cls_token"] = own["cls_token"] - first
    for index in range(SMALL["depth"]):
        for name, value in own.items():
            start, _, rest = name.partition(f"blocks.{index}.")
            if start or not rest:
                continue
            here = f"encoder.layer.{index}."
            part, _, end = rest.rpartition(".")
            if part == "attn.qkv":
                for third, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                    tensors[f"{here}attention.attention.{third}.{end}"] = piece
            elif part == "attn.proj":
                tensors[f"{here}attention.output.dense.{end}"] = value
            elif rest in block:
                tensors[here + block[rest]] = value
            else:
                tensors[f"{here}{block.get(part, part)}.{end}"] = value
    return {prefix + name: value.contiguous().clone() for name, value in tensors.items()}


@pytest.mark.parametrize("prefix", ["", "dinov2."])
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_timms_network(tmp_path, kind, prefix):
    network = network_of(kind)
    model, more, block = KINDS[kind]
    tensors = transformers_file(network, block, prefix)
    if prefix:
        tensors["classifier.weight"] = torch.zeros(3, 64)
    save_file(tensors, tmp_path / "model.safetensors")
    loaded, unmatched = load_backbone(model, {**SMALL, **more}, 1, str(tmp_path / "model.safetensors"))
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.eval()(images), network(images), rtol=1e-5, atol=1e-5)
    assert unmatched == []


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("encoder.layer.1.attention.attention.key.weight", "first 'blocks.1.attn.qkv.weight'"),
        ("layernorm.bias", "first 'norm.bias'"),
    ],
)
def test_what_the_file_lacks_is_still_missed(tmp_path, gone, said):
    tensors = transformers_file(network_of("ViTModel"), VIT)
    tensors.pop(gone)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=f"lacks 1 of .* weights, {said}"):
        load_backbone("vit_base_patch16_224", SMALL, 1, str(tmp_path / "model.safetensors"))


def test_a_weight_without_translation_is_not_passed_over(tmp_path):
    # A layer scale in a file for a network without: as its name is translated, it is found left over.
    tensors = transformers_file(network_of("Dinov2Model"), DINOV2)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"has 4 weights that this model has not, first 'blocks\.0\.ls1\.gamma'"):
        load_backbone("vit_base_patch16_224", SMALL, 1, str(tmp_path / "model.safetensors"))


def test_other_files_stay_as_they_are():
    tensors = {"encoder.layer.0.output.dense.weight": torch.ones(1)}
    assert translate_names(tensors) is tensors
