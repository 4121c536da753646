"""The built-in model's tokenizer: Gemma 4's tokenizer.json in small (needs `tokenizers` only to learn the merges).

A space becomes U+2581 and starts a word; bytes catch what has no token; digits and line breaks stand alone. No token
reaches over the beginning of a word, so that text may be cut there without changing its tokens.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SPACE = "\u2581"

SPECIAL = (
    *("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"),
    *("<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>'),
    *("<|think|>", "<|channel>", "<channel|>", "<|turn>", "<turn|>"),
    *("<|image>", "<|audio>", "<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>"),
)
"""Google's names, in the order of Google's ids; the first five ids are Google's too."""

END_IDS = [SPECIAL.index("<eos>"), SPECIAL.index("<turn|>"), SPECIAL.index("<|tool_response>")]

_ROLES = {
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "boi_token": "<|image>",
    "bos_token": "<bos>",
    "eoa_token": "<audio|>",
    "eoc_token": "<channel|>",
    "eoi_token": "<image|>",
    "eos_token": "<eos>",
    "eot_token": "<turn|>",
    "escape_token": '<|"|>',
    "etc_token": "<tool_call|>",
    "etd_token": "<tool|>",
    "etr_token": "<tool_response|>",
    "image_token": "<|image|>",
    "mask_token": "<mask>",
    "pad_token": "<pad>",
    "soc_token": "<|channel>",
    "sot_token": "<|turn>",
    "stc_token": "<|tool_call>",
    "std_token": "<|tool>",
    "str_token": "<|tool_response>",
    "think_token": "<|think|>",
    "unk_token": "<unk>",
}

_WORD = re.compile(r"\n|[0-9]|▁?[A-Za-z]+|▁?[^\nA-Za-z0-9▁]+|▁")


def special_id(name: str) -> int:
    """The id of a special token; the ids are the order of SPECIAL."""
    return SPECIAL.index(name)


def write(folder: Path, texts: Iterable[str], size: int) -> int:
    """Learn `size` tokens, write tokenizer.json and tokenizer_config.json, and return how many tokens there are."""
    vocabulary, merges = learn(texts, size)
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "tokenizer.json", tokenizer_json(vocabulary, merges))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config())
    return len(vocabulary)


def copy(source: Path, folder: Path) -> int:
    """Take over the tokenizer of a checkpoint; returns how many tokens there are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        _write_json(folder / name, json.loads((source / name).read_text(encoding="utf-8")))
    return len(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])


def learn(texts: Iterable[str], size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte-pair merges of words that begin at a space, a digit or a line break; the same texts give the same merges."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    learner.normalizer = normalizers.Replace(" ", SPACE)
    learner.pre_tokenizer = pre_tokenizers.Split(Regex(_WORD.pattern), "isolated")
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[*SPECIAL, *bytes_],
        initial_alphabet=[chr(code) for code in range(33, 127)] + ["\n", SPACE],
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    model = json.loads(learner.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def tokenizer_json(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> dict[str, Any]:
    """The tokenizer.json of a vocabulary, in the form of Google's file."""
    bos = {"SpecialToken": {"id": "<bos>", "type_id": 0}}
    first, second = {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(identifier, name) for identifier, name in enumerate(SPECIAL)],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"String": " "},
            "behavior": "MergedWithPrevious",
            "invert": False,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, first],
            "pair": [bos, first, {"SpecialToken": {"id": "<bos>", "type_id": 1}}, second],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": [list(pair) for pair in merges],
        },
    }


def _added(identifier: int, name: str) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": identifier, "content": name, **flags}


def _tokenizer_config() -> dict[str, Any]:
    return {
        **_ROLES,
        "clean_up_tokenization_spaces": False,
        "extra_special_tokens": ["<|video|>"],
        "model_max_length": 1000000000000000019884624838656,
        "padding_side": "left",
        "tokenizer_class": "GemmaTokenizer",
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    part.replace(path)
