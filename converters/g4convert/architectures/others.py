"""Models that can't be converted: what they are, and why not."""

from collections.abc import Mapping
from typing import Any

from g4local.core.errors import BadCheckpoint, UnknownArchitecture

_FAMILIES = {
    "diffusiongemma": "DiffusionGemma writes whole blocks of text by diffusion, which needs its own decoder",
    "embeddinggemma": "EmbeddingGemma makes embeddings and can't chat",
    "gemma3textmodel": "EmbeddingGemma makes embeddings and can't chat",
    "t5gemma": "T5Gemma is an encoder with a decoder, which is another build than Gemma 4's",
    "paligemma": "PaliGemma tells what is in images, with an older Gemma inside",
    "shieldgemma": "ShieldGemma judges what others say, and can't chat",
    "recurrentgemma": "RecurrentGemma is recurrent, which is another build than Gemma 4's",
    "vaultgemma": "VaultGemma is a Gemma of an older build",
    "assistant": "this is a drafter that only helps a larger model along",
    "speculator": "this is a drafter that only helps a larger model along",
    "dspark": "this is a drafter that only helps a larger model along",
    "eagle": "this is a drafter that only helps a larger model along",
    "gemma4": "this is a part of Gemma 4 or one with another purpose, and can't chat",
    "gemma3n": "this is Gemma 3n, and g4local is for Gemma 4",
    "gemma3": "this is Gemma 3 (as MedGemma, FunctionGemma and TranslateGemma are), and g4local is for Gemma 4",
    "gemma2": "this is Gemma 2 (as DataGemma and TxGemma are), and g4local is for Gemma 4",
    "gemma": "this is the first Gemma (as CodeGemma is), and g4local is for Gemma 4",
}
"""Parts of names, without underscores, and why such a model can't be converted; the first that fits counts."""
_METHODS = {
    "compressed-tensors": "compressed-tensors",
    "bitsandbytes": "bitsandbytes",
    "gptq": "GPTQ",
    "awq": "AWQ",
    "fp8": "FP8",
    "fbgemm_fp8": "FP8",
    "modelopt": "NVIDIA's ModelOpt",
    "torchao": "torchao",
    "mxfp4": "MXFP4",
}
"""What transformers calls ways to quantize, and what people do."""
_LONGEST = 60
"""Characters of a name that are repeated."""


def refused(shown: str, known: str) -> UnknownArchitecture:
    """The error for a model of this name; `known` are the names that can be converted."""
    if not shown:
        return UnknownArchitecture("config.json does not say what model this is.", f"The converter knows {known}.")
    flat, shown = shown.lower().replace("_", ""), _short(shown)
    reason = next((reason for part, reason in _FAMILIES.items() if part in flat), "")
    if not reason:
        return UnknownArchitecture(f"The converter does not know the architecture {shown}.", _hint(known))
    return UnknownArchitecture(f"{shown} can't be converted: {reason}.", _hint(known))


def expect_unquantized(config: Mapping[str, Any]) -> None:
    """BadCheckpoint names the way in which a checkpoint is quantized.

    A `quantization_config` without a method packs nothing: QAT checkpoints have one, and their weights are BF16.
    """
    text = config.get("text_config")
    for place in (config, text if isinstance(text, Mapping) else {}):
        settings = place.get("quantization_config") or place.get("compression_config")
        method = settings.get("quant_method") if isinstance(settings, Mapping) else settings
        if not method and isinstance(place.get("quantization"), Mapping):
            method = "MLX"
        if method:
            name = _METHODS.get(str(method).lower(), _short(str(method)))
            raise BadCheckpoint(
                f"The checkpoint is quantized already, with {name}.",
                "Convert the model's BF16 checkpoint, which has lost nothing yet.",
            )


def _hint(known: str) -> str:
    return f"The converter knows {known}; llama.cpp's convert_hf_to_gguf.py takes many others."


def _short(name: str) -> str:
    """A name as a line of a message can hold it."""
    return " ".join(name.split())[:_LONGEST]
