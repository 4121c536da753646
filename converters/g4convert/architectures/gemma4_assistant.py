"""Gemma 4's drafters (`-assistant`): some layers that guess the next tokens for a larger model, whose keys and values
they use.

A drafter reads the larger model's last hidden state beside its token's embedding, through `pre_projection`, and gives
back a state of that width through `post_projection`. The centroids of `masked_embedding`, which save it a part of the
output matrix, are not used by llama.cpp.
"""

from collections.abc import Mapping
from typing import Any

from g4convert.architectures import gemma4
from g4convert.architectures.numbers import Numbers, bad
from g4convert.plan import Rule
from g4convert.spec import ModelSpec

NAMES = ("Gemma4AssistantForCausalLM", "Gemma4UnifiedAssistantForCausalLM")
MODEL_TYPES = ("gemma4_assistant", "gemma4_unified_assistant")
PREFIXES = ("model.",)
SKIPS = ("masked_embedding.",)


def read(config: Mapping[str, Any]) -> ModelSpec:
    """The numbers of a config.json, all checked; BadCheckpoint names the key that is missing or impossible."""
    width = Numbers(config).count("backbone_hidden_size")
    model = gemma4.read(config, drafts_for=width)
    if model.hidden == width:
        raise bad("backbone_hidden_size", f"must not be the drafter's own width, {width}")
    if model.per_layer_width:
        raise bad("hidden_size_per_layer_input", "must be 0 for a drafter")
    if model.experts or model.ffn_by_layer or not model.tied:
        raise bad("text_config", "makes this a build that no drafter has")
    return model


def rules(spec: ModelSpec) -> list[Rule]:
    """What becomes of each of the checkpoint's tensors."""
    between = (spec.hidden, 2 * spec.drafts_for)
    return [
        *(rule for rule in gemma4.rules(spec) if rule.role != "output"),
        Rule("pre_projection.weight", "nextn.pre_projection.weight", between, "linear"),
        Rule("post_projection.weight", "nextn.post_projection.weight", (spec.drafts_for, spec.hidden), "linear"),
    ]
