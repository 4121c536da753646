"""Folders that hold something other than a checkpoint in safetensors, and what to do with them."""

from pathlib import Path

from g4local.core.errors import BadCheckpoint

_INSTEAD = (
    (
        ("adapter_config.json", "adapter_model.*"),
        "holds a LoRA adapter, which is only a change to a model",
        "Merge it into its model with peft (merge_and_unload, then save_pretrained), and convert that folder.",
    ),
    (
        ("*.gguf",),
        "holds GGUFs, and no checkpoint",
        "A GGUF is run as it is; g4local quantize makes a smaller one of one in BF16, F16 or F32.",
    ),
    (
        ("*.bin", "*.pth", "*.pt", "*.ckpt"),
        "holds PyTorch's pickles, which may run any code when they are read, and no safetensors",
        "Get the model's safetensors, or write them with transformers' save_pretrained.",
    ),
    (
        ("*.task", "*.litertlm", "*.tflite"),
        "holds a model for LiteRT, which can't be turned back into a checkpoint",
        "Get the model's safetensors.",
    ),
    (
        ("*.npz", "*.msgpack", "*.h5", "*.orbax*", "checkpoint"),
        "holds weights for JAX, Flax or Keras, and no safetensors",
        "Get the model's safetensors; Google's repositories on Hugging Face have them.",
    ),
)
"""What tells such a folder, what it is, and a hint; the first that fits counts."""


def expect_checkpoint(folder: Path, weights: str) -> None:
    """BadCheckpoint says what a folder holds that has no weights in files of this pattern."""
    if any(folder.glob(weights)):
        return
    for patterns, what, hint in _INSTEAD:
        if any(True for pattern in patterns for _ in folder.glob(pattern)):
            raise BadCheckpoint(f"{folder} {what}.", hint)
    if not any(folder.glob("*.safetensors")) and not (folder / "config.json").exists():
        raise BadCheckpoint(
            f"{folder} holds no checkpoint: it has neither config.json nor safetensors files.",
            "Give a folder that was downloaded from Hugging Face.",
        )
