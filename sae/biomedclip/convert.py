"""`python -m sae.biomedclip.convert --from DIR --to DIR`: the published files of BiomedCLIP as
ours. PyTorch is not needed.

DIR holds open_clip_pytorch_model.bin or a .safetensors file, open_clip_config.json and
tokenizer.json, as published under microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224. The
result holds model.npz, config.json and tokenizer.json.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError, writing
from jaxrl.train.config import to_dict
from sae.biomedclip import model
from sae.biomedclip.config import ClipConfig, TextConfig, VisionConfig
from sae.biomedclip.torch_file import read_torch

IGNORED = ("text.transformer.embeddings.position_ids", "text.transformer.pooler.")
"""Tensors that carry nothing for the embeddings."""
NAMES = (
    (r"^visual\.trunk\.(cls_token|pos_embed)$", r"visual/\1"),
    (r"^visual\.trunk\.patch_embed\.proj\.", "visual/patch_embed/"),
    (r"^visual\.trunk\.blocks\.(\d+)\.(norm\d)\.weight$", r"visual/block_\1/\2/scale"),
    (r"^visual\.trunk\.blocks\.(\d+)\.(?:attn|mlp|)\.?(\w+)\.", r"visual/block_\1/\2/"),
    (r"^visual\.trunk\.norm\.weight$", "visual/norm/scale"),
    (r"^visual\.trunk\.norm\.", "visual/norm/"),
    (r"^visual\.head\.proj\.", "visual/head/"),
    (r"^text\.transformer\.embeddings\.word_embeddings\.weight$", "text/words"),
    (r"^text\.transformer\.embeddings\.position_embeddings\.weight$", "text/positions"),
    (r"^text\.transformer\.embeddings\.token_type_embeddings\.weight$", "text/types"),
    (r"^text\.transformer\.embeddings\.LayerNorm\.", "text/norm/"),
    (r"^text\.transformer\.encoder\.layer\.(\d+)\.attention\.self\.(\w+)\.", r"text/layer_\1/\2/"),
    (
        r"^text\.transformer\.encoder\.layer\.(\d+)\.attention\.output\.dense\.",
        r"text/layer_\1/out/",
    ),
    (
        r"^text\.transformer\.encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.",
        r"text/layer_\1/norm_attention/",
    ),
    (r"^text\.transformer\.encoder\.layer\.(\d+)\.intermediate\.dense\.", r"text/layer_\1/fc1/"),
    (r"^text\.transformer\.encoder\.layer\.(\d+)\.output\.dense\.", r"text/layer_\1/fc2/"),
    (
        r"^text\.transformer\.encoder\.layer\.(\d+)\.output\.LayerNorm\.",
        r"text/layer_\1/norm_output/",
    ),
    (r"^text\.proj\.0\.", "text/project_0/"),
    (r"^text\.proj\.2\.", "text/project_1/"),
)
"""Published name, as a regular expression, and ours."""


def converted(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Parameters of ours from the published tensors; dense kernels are transposed, the patch
    convolution becomes a matrix.

    Raises:
      UserError: a tensor whose name is not known.
    """
    from flax.traverse_util import unflatten_dict

    found = {}
    for name, array in tensors.items():
        if name.startswith(IGNORED):
            continue
        path = _our_name(name)
        found[tuple(path.split("/"))] = _turned(np.asarray(array), path)
    return unflatten_dict(found)


def _our_name(name):
    if name == "logit_scale":
        return name
    for pattern, ours in NAMES:
        path, count = re.subn(pattern, ours, name)
        if count:
            path = path.removesuffix("weight") + "kernel" if path.endswith("/weight") else path
            return (
                path.removesuffix("kernel") + "scale"
                if re.search(r"/norm\w*/kernel$", path)
                else path
            )
    raise UserError(
        f"the tensor {name} is not BiomedCLIP's: convert the files of "
        "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
    )


def _turned(array, path):
    if path.endswith("patch_embed/kernel"):
        return array.transpose(2, 3, 1, 0).reshape(-1, array.shape[0])
    if path.endswith("/kernel"):
        return array.T
    return (
        array.reshape(-1)
        if path.endswith("cls_token")
        else array[0]
        if path.endswith("pos_embed")
        else array
    )


def sizes(
    params: dict[str, Any],
    heads: tuple[int, int] | None = None,
    context: int = 256,
    patch: int | None = None,
) -> ClipConfig:
    """Sizes read from the shapes of parameters.

    Args:
      params: of both towers, as `converted` gives them.
      heads: attention heads (vision, text); None: width / 64, as in BiomedCLIP.
      context: tokens of a text, which no shape shows.
      patch: side of a patch in pixels; None: from the patch embedding, for images of three colors.
    """
    visual, text = params["visual"], params["text"]
    width, wide = visual["cls_token"].size, text["words"].shape[1]
    patch = patch or round((visual["patch_embed"]["kernel"].shape[0] / 3) ** 0.5)
    side = round((visual["pos_embed"].shape[0] - 1) ** 0.5)

    def tower(tree, block, width, heads):
        layers = sum(name.startswith(block) for name in tree)
        hidden = tree[f"{block}0"]["fc1"]["kernel"].shape[1]
        return {"width": width, "layers": layers, "heads": heads, "hidden": hidden}

    heads = heads or (width // 64, wide // 64)
    return ClipConfig(
        VisionConfig(
            size=side * patch,
            patch=patch,
            features=visual["head"]["kernel"].shape[1],
            **tower(visual, "block_", width, heads[0]),
        ),
        TextConfig(
            vocabulary=text["words"].shape[0],
            positions=text["positions"].shape[0],
            types=text["types"].shape[0],
            context=context,
            bottleneck=text["project_0"]["kernel"].shape[1],
            features=text["project_1"]["kernel"].shape[1],
            **tower(text, "layer_", wide, heads[1]),
        ),
    )


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of the one model file in a folder.

    Raises:
      UserError: there is none, or it cannot be read.
    """
    safe, torch = sorted(folder.glob("*.safetensors")), sorted(folder.glob("*.bin"))
    if safe:
        try:
            from safetensors.numpy import load_file
        except ImportError:
            raise UserError(
                "reading .safetensors needs the package safetensors: pip install 'latentax[films]'"
            ) from None
        try:
            return load_file(safe[0])
        except Exception as error:
            raise UserError(f"{safe[0]} cannot be read ({error}): download it again") from None
    if torch:
        return read_torch(torch[0])
    raise UserError(
        f"{folder} holds no .safetensors and no .bin file: download open_clip_pytorch_model.bin "
        "there"
    )


def convert(source: Path, target: Path) -> ClipConfig:
    """Read the published files of `source`, write ours to `target`; the sizes that were found.

    Raises:
      UserError: files are missing, damaged, or not BiomedCLIP's.
    """
    named = source / "open_clip_config.json"
    if not named.is_file():
        raise UserError(f"there is no {named}: download it from the model's page")
    try:
        described = json.loads(named.read_text())
    except ValueError as error:
        raise UserError(f"{named} is damaged ({error}): download it again") from None
    shape, seen = described.get("model_cfg", {}), described.get("preprocess_cfg", {})
    params = converted(read_tensors(source))
    heads = shape.get("heads")
    try:
        config = sizes(
            params,
            tuple(heads) if heads else None,
            shape.get("text_cfg", {}).get("context_length", 256),
        )
    except KeyError as error:
        raise UserError(
            f"the tensors in {source} lack {error}: these are not all of BiomedCLIP's, download "
            "them again"
        ) from None
    config = ClipConfig(
        config.vision,
        config.text,
        tuple(seen.get("mean", config.mean)),
        tuple(seen.get("std", config.std)),
    )
    with writing(target):
        model.save(params, to_dict(config), target)
        if (source / "tokenizer.json").is_file():
            shutil.copyfile(source / "tokenizer.json", target / "tokenizer.json")
    model.load(target)
    return config


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m sae.biomedclip.convert", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, help="folder with the published files"
    )
    parser.add_argument("--to", dest="target", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    try:
        config = convert(options.source, options.target)
    except UserError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    print(
        f"wrote {options.target}: images of {config.vision.size} pixels, texts of "
        f"{config.text.context} tokens, "
        f"{config.vision.features} features"
    )
    if not (options.target / "tokenizer.json").exists():
        print("there was no tokenizer.json: only images can be embedded", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
