"""The built-in model's shape: every feature of the Gemma 4 family at once, in some megabytes.

The keys are those of Google's own config.json files (`global_head_dim`, `num_global_key_value_heads`), which
transformers and llama.cpp both read.
"""

from typing import Any

from demo.vocabulary import END_IDS, special_id

_LAYER_TYPES = {"s": "sliding_attention", "f": "full_attention"}

_FAMILY: dict[str, Any] = {
    "model_type": "gemma4_text",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 2,
    "dtype": "bfloat16",
    "eos_token_id": 1,
    "final_logit_softcapping": 30.0,
    "hidden_activation": "gelu_pytorch_tanh",
    "initializer_range": 0.02,
    "pad_token_id": 0,
    "rms_norm_eps": 1e-06,
    "rope_parameters": {
        "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
        "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
    },
    "tie_word_embeddings": True,
    "use_bidirectional_attention": None,
    "use_cache": True,
}


def text_config(vocab_size: int) -> dict[str, Any]:
    """The language model's numbers; expert rows of 96 are no multiple of any K-quant block, all others are of 32."""
    return {
        **_FAMILY,
        "attention_k_eq_v": True,
        "enable_moe_block": True,
        "global_head_dim": 64,
        "head_dim": 32,
        "hidden_size": 256,
        "hidden_size_per_layer_input": 32,
        "intermediate_size": 256,
        "layer_types": [_LAYER_TYPES[kind] for kind in "ssfssfsf"],
        "max_position_embeddings": 4096,
        "moe_intermediate_size": 96,
        "num_attention_heads": 4,
        "num_experts": 4,
        "num_global_key_value_heads": 1,
        "num_hidden_layers": 8,
        "num_key_value_heads": 2,
        "num_kv_shared_layers": 2,
        "sliding_window": 128,
        "top_k_experts": 2,
        "use_double_wide_mlp": True,
        "vocab_size": vocab_size,
        "vocab_size_per_layer_input": vocab_size,
    }


def config(vocab_size: int) -> dict[str, Any]:
    """The whole config.json: a Gemma 4 without a vision or audio tower."""
    return {
        "architectures": ["Gemma4ForConditionalGeneration"],
        "audio_config": None,
        "audio_token_id": special_id("<|audio|>"),
        "boa_token_id": special_id("<|audio>"),
        "boi_token_id": special_id("<|image>"),
        "dtype": "bfloat16",
        "eoa_token_id": special_id("<audio|>"),
        "eoa_token_index": special_id("<audio|>"),
        "eoi_token_id": special_id("<image|>"),
        "eos_token_id": END_IDS,
        "image_token_id": special_id("<|image|>"),
        "initializer_range": 0.02,
        "model_type": "gemma4",
        "text_config": text_config(vocab_size),
        "tie_word_embeddings": True,
        "transformers_version": "5.23.0",
        "video_token_id": special_id("<|video|>"),
        "vision_config": None,
    }


def generation_config() -> dict[str, Any]:
    """How replies are sampled and where they end: Google's numbers."""
    return {
        "bos_token_id": 2,
        "do_sample": True,
        "eos_token_id": END_IDS,
        "pad_token_id": 0,
        "temperature": 1.0,
        "top_k": 64,
        "top_p": 0.95,
        "transformers_version": "5.23.0",
    }
