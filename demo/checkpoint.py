"""The built-in model on disk: what transformers trains becomes the folder that g4local ships."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import Gemma4Config, Gemma4ForConditionalGeneration

from demo import architecture


def new_model(vocab_size: int, seed: int) -> Gemma4ForConditionalGeneration:
    """An untrained model in float32, the same for the same seed."""
    torch.manual_seed(seed)
    model = Gemma4ForConditionalGeneration(Gemma4Config(**architecture.config(vocab_size)))
    return model.to(torch.float32)


def load(folder: Path) -> Gemma4ForConditionalGeneration:
    """A saved model in float32."""
    return Gemma4ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def save(model: Gemma4ForConditionalGeneration, folder: Path, vocab_size: int) -> None:
    """Write config.json, generation_config.json and model.safetensors (BF16); each file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "config.json", architecture.config(vocab_size))
    _replace(folder / "generation_config.json", architecture.generation_config())
    tensors = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in sorted(model.state_dict().items())
        if name != "lm_head.weight"
    }
    part = folder / "model.safetensors.part"
    save_file(tensors, part, metadata={"format": "pt"})
    part.chmod(0o644)
    part.replace(folder / "model.safetensors")


def _replace(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
