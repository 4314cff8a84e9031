"""Write docs/encoders.md from the presets: `make docs`."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
POOLING = {None: "own", "cls_mean": "class token, mean of patch tokens"}
TEXT = """# Encoders

A published encoder is one line of the configuration:

```yaml
encoders:
  uni: {timm: {preset: uni}}
```

The preset names the network, where its weights are, and how pictures are prepared for it; it is used with its own
preprocessing whatever the tiling. A key beside `preset` goes before the preset's ([all keys](configuration.md)), for
example `{preset: uni, input_px: 256}`. A tiling or data set of another µm/px is an error, unless
`features: {on_spacing_mismatch: allow}`; encoders of photographs have no µm/px and take any.

This page is written from config/presets/encoders.yaml, which also says where the facts are from (`make docs`). Licences
and access are the owners' and may change: what the page of the model says is what counts.

| preset | encoder | network | features | patches, px | input, px | µm/px | pooling | licence | access |
|---|---|---|---|---|---|---|---|---|---|
{rows}

`patches` is the side of the patches that the authors cut, `input` what the network is given: patches are brought to
that size, or to the length in brackets and cropped. `own` pooling is the class token of a transformer, the mean over
the map of a ResNet.

## Access

Where it says *after accepting*, the owner wants to know who you are:

1. Log in at https://huggingface.co, open the model's page and accept its licence. Some owners answer at once, others
   after days.
2. Make a token that may read such models (Settings, Access Tokens), and `hf auth login` with it, once, on each machine
   (or set `HF_TOKEN`).

Until then the job that fetches the encoder fails early in the run, with a sentence that says this. All other encoders
are trained, embedded and evaluated; tables are made when all that the tasks name are there. To have them without this
one, take it out of `encoders:` (nothing else is computed again).

## Clusters without network

Weights are fetched once, into the cache of the Hugging Face hub (`~/.cache/huggingface`, or `HF_HOME`). On a login node
that shares the disk:

    hf download MahmoodLab/UNI

and nothing more: jobs find the files there. `HF_HUB_OFFLINE=1` keeps them from looking for the network first. Or copy
the file, and name it: `{preset: uni, weights: /data/uni/pytorch_model.bin}`.

## Other models

- **Any model of timm**: `timm: {model: resnet50.a1_in1k}`, or `timm: {model: "hf-hub:owner/name"}` for one that its
  owner has put on the hub for timm. Layers that its page passes as Python objects are given by name:
  `model_args: {mlp_layer: SwiGLUPacked, act_layer: silu}`.
- **Your own checkpoint**, or anybody's: `timm: {model: vit_small_patch16_224, weights: my_dino.pth}`, with `mean`,
  `std`, `input_px` and `spacing_um`. Files of timm, torchvision, Hugging Face transformers (ViT, DINOv2), DINO, HIPT,
  lightly, SimCLR, MoCo and the like are read; the network is found in them by the names of its weights. Files are never
  allowed to run code.
- **Weights of another repository**: `weights: "hf-hub:owner/name"` (model.safetensors or pytorch_model.bin),
  `hf-hub:owner/name/file`, or with a fixed version `hf-hub:owner/name@revision`.
- A weight that the file lacks or has besides is an error that names it. `strict: false` lets it pass; what did not
  match stands in the log and as `unmatched` in `encoder.json`. Half of the network has to match in any case.
- `pooling: cls_mean` is the class token beside the mean of the patch tokens, without registers.

## Not in the list

- **CONCH** and **CONCH v1.5**: the network ends in attention pooling of its own, which timm has not. The code for it is
  a package as non-commercial as the weights (CC-BY-NC-ND-4.0), so that it can be no part of this one.
- **CTransPath** (and CHIEF's): a changed Swin transformer that needs an old, changed timm, and under the GPL.
- **MUSK**, **Hibou**, **KEEP**: they need code of their own, which comes with their weights or as a package.

Features of theirs that CLAM or TRIDENT has written can be compared with all others:
`encoders: {conch: {features: ...}}` ([configuration](configuration.md)).
"""


def main() -> None:
    """Write the page."""
    presets = yaml.safe_load((ROOT / "config/presets/encoders.yaml").read_text(encoding="utf-8"))
    rows = "\n".join(row(name, **preset) for name, preset in presets.items())
    (ROOT / "docs/encoders.md").write_text(TEXT.replace("{rows}", rows), encoding="utf-8")


def row(name: str, config: dict[str, Any], about: dict[str, Any]) -> str:
    """A preset's line of the table."""
    cropped = f" ({config['resize_px']})" if "resize_px" in config else ""
    cells = [
        f"`{name}`",
        f"[{about['title']}]({about['url']}) ([paper]({about['paper']}))",
        about["network"],
        about["feature_dim"],
        about["patch_px"],
        f"{config['input_px']}{cropped}",
        ", ".join(f"{spacing:g}" for spacing in config["spacing_um"]) or "any",
        POOLING[config["pooling"]],
        about["licence"],
        "after accepting" if about["gated"] else "open",
    ]
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
