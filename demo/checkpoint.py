"""The built-in model on disk: what transformers trains becomes the folder that g4local ships."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import Gemma4Config, Gemma4ForConditionalGeneration

from demo import architecture


def new_model(vocab_size: int, seed: int) -> Gemma4ForConditionalGeneration:
    """An untrained model in float32, the same for the same seed.

    Gemma 4 multiplies queries and keys without a scale, and adds what each part of a layer says at full strength. From
    nothing a model learns much faster when attention begins soft and the layers begin quiet beside the embeddings, so
    the norms start below one.
    """
    torch.manual_seed(seed)
    model = Gemma4ForConditionalGeneration(Gemma4Config(**architecture.config(vocab_size))).to(torch.float32)
    text = model.model.language_model
    with torch.no_grad():
        for embedding in (text.embed_tokens, text.embed_tokens_per_layer):
            embedding.weight.normal_(0.0, 1.0 / embedding.scalar_embed_scale)
        for name, weight in text.named_parameters():
            if name.endswith(("q_norm.weight", "k_norm.weight")):
                weight.fill_(len(weight) ** -0.25)
            elif name.endswith(("post_attention_layernorm.weight", "post_feedforward_layernorm.weight")):
                weight.fill_(0.4)
            elif name.endswith("post_per_layer_input_norm.weight"):
                weight.fill_(0.2)
    return model


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
