"""The `tokenizer.*` keys: Gemma 4's byte-pair vocabulary, as llama.cpp's converter writes it.

The vocabulary is tokenizer.json's; which tokens are control tokens follows from tokenizer_config.json, as transformers
reads it: every `*_token` and every extra special token. Seven control tokens are made visible, since a chat needs to
see where thoughts and tool calls begin and end.
"""

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from g4convert.checkpoint import read_json, read_text
from g4convert.gguf import Value, boolean, f32s, i32s, string, strings, u32
from g4local.core.errors import BadCheckpoint

VISIBLE = ("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>')
"""Control tokens that are text to llama.cpp, so that they reach the reader of a reply."""


class TokenType(IntEnum):
    """llama.cpp's kinds of tokens."""

    NORMAL = 1
    CONTROL = 3
    USER_DEFINED = 4
    BYTE = 6


_SCORE = -1000.0
_MAX_ID = 2**31 - 1
_SPACE_IN_MERGE = chr(ord(" ") + 256)
"""What a space inside a part of a merge becomes, since a space also parts the two."""
_ROLES = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "unk": "unknown_token_id",
    "sep": "seperator_token_id",
    "pad": "padding_token_id",
    "cls": "cls_token_id",
    "mask": "mask_token_id",
}
"""Tokens with a part to play, and the keys of their ids (the spelling is llama.cpp's)."""
_DEFAULTS = {
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "unk_token": "<unk>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
}
"""What transformers' GemmaTokenizer takes where tokenizer_config.json says nothing."""
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


def keys(folder: Path, config: Mapping[str, Any], vocab_size: int) -> dict[str, Value]:
    """The keys of the tokenizer, in the order of llama.cpp's converter; BadCheckpoint when it is not Gemma's kind."""
    tokenizer = read_json(folder / "tokenizer.json")
    path = folder / "tokenizer_config.json"
    settings = read_json(path) if path.is_file() else {}
    tokens, types = _vocabulary(tokenizer, _special_names(folder, settings))
    if len(tokens) != vocab_size:
        raise _bad(f"has {len(tokens)} tokens, but config.json and the weights {vocab_size}")
    entries = {
        "model": string("gemma4"),
        "tokens": strings(tokens),
        "scores": f32s([_SCORE] * len(tokens)),
        "token_type": i32s(types),
        "merges": strings(_merges(tokenizer)),
    }
    entries |= {_ROLES[role]: u32(token) for role, token in _ids(tokenizer, settings, config).items()}
    entries |= {f"add_{role}_token": boolean(flag) for role, flag in _added_around(tokenizer, settings).items()}
    prefixed = {f"tokenizer.ggml.{key}": value for key, value in entries.items()}
    prefixed |= _templates(folder, settings)
    prefixed["tokenizer.ggml.add_space_prefix"] = boolean(False)
    prefixed["tokenizer.ggml.add_bos_token"] = boolean(True)
    return prefixed


def _vocabulary(tokenizer: Mapping[str, Any], special: set[str]) -> tuple[list[str], list[TokenType]]:
    """Every token with its type, by id."""
    model = tokenizer.get("model")
    if not isinstance(model, dict) or model.get("type") != "BPE" or not model.get("byte_fallback"):
        raise _bad("holds no byte-pair vocabulary with byte fallback")
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict):
        raise _bad("has no vocabulary")
    ids = dict(vocabulary)
    for token, number in _added(tokenizer).items():
        if number >= len(vocabulary):
            ids[token] = number
    if not all(type(number) is int for number in ids.values()) or sorted(ids.values()) != list(range(len(ids))):
        raise _bad(f"has ids that are not 0 to {len(ids) - 1}, each once")
    tokens = sorted(ids, key=ids.__getitem__)
    return tokens, [_type(token, special, token in vocabulary) for token in tokens]


def _type(token: str, special: set[str], in_vocabulary: bool) -> TokenType:
    if token in VISIBLE:
        return TokenType.USER_DEFINED
    if in_vocabulary and _BYTE.fullmatch(token):
        return TokenType.BYTE
    if token in special:
        return TokenType.CONTROL
    return TokenType.NORMAL if in_vocabulary else TokenType.USER_DEFINED


def _special_names(folder: Path, settings: Mapping[str, Any]) -> set[str]:
    """Every token that transformers counts as special."""
    named = {**_DEFAULTS, **settings}
    legacy = folder / "special_tokens_map.json"
    if "added_tokens_decoder" not in settings and legacy.is_file():
        named |= read_json(legacy)
    names = {_content(value) for key, value in named.items() if key.endswith("_token")}
    for key in ("extra_special_tokens", "additional_special_tokens"):
        extra = named.get(key)
        listed = extra.values() if isinstance(extra, dict) else extra if isinstance(extra, list) else ()
        names |= {_content(value) for value in listed}
    return names - {""}


def _content(token: object) -> str:
    """A token's text, which files give as a string or as an object."""
    match token:
        case str():
            return token
        case {"content": str(content)}:
            return content
        case _:
            return ""


def _added(tokenizer: Mapping[str, Any]) -> dict[str, int]:
    """The tokens that are found before the text is split, with their ids."""
    listed = tokenizer.get("added_tokens") or []
    entries: dict[str, int] = {}
    for entry in listed if isinstance(listed, list) else [None]:
        match entry:
            case {"content": str(content), "id": int(number)} if 0 <= number <= _MAX_ID:
                entries.setdefault(content, number)
            case _:
                raise _bad("has an added token without text or id")
    return entries


def _merges(tokenizer: Mapping[str, Any]) -> Iterator[str]:
    """The merges, most frequent first, as two parts with a space between them."""
    merges = tokenizer["model"].get("merges")
    for merge in merges if isinstance(merges, list) else ():
        match merge:
            case str():
                yield merge
            case [str(), str()]:
                yield " ".join([part.replace(" ", _SPACE_IN_MERGE) for part in merge])
            case _:
                raise _bad("has a merge that is not two strings")


def _ids(tokenizer: Mapping[str, Any], settings: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, int]:
    """The id of each role: of the token that tokenizer_config.json names, else the one that config.json gives."""
    added = _added(tokenizer)
    ids = {}
    for role in _ROLES:
        if (token := _content(settings.get(f"{role}_token"))) in added:
            ids[role] = added[token]
    text = config.get("text_config")
    for role in _ROLES:
        key = f"{role}_token_id"
        number = config.get(key)
        if number is None and isinstance(text, dict):
            number = text.get(key)
        if type(number) is int and 0 <= number <= _MAX_ID:
            ids.setdefault(role, number)
    return ids


def _added_around(tokenizer: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, bool]:
    """Which tokens the tokenizer puts around a text, by role; its template counts before tokenizer_config.json."""
    flags: dict[str, bool] = {}
    outer = tokenizer.get("post_processor")
    listed = outer.get("processors", [outer]) if isinstance(outer, dict) else []
    for processor in listed:
        if isinstance(processor, dict) and processor.get("type") == "TemplateProcessing":
            flags |= _template_flags(processor, settings)
    for role in ("bos", "eos", "sep"):
        flag = settings.get(f"add_{role}_token")
        if isinstance(flag, bool):
            flags.setdefault(role, flag)
    return flags


def _template_flags(processor: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, bool]:
    """What a template such as `<bos> A` for one text and `<bos> A <sep> B` for two puts around them."""
    flags: dict[str, bool] = {}
    single, pair = _parts(processor.get("single")), _parts(processor.get("pair"))
    if len(single) > 1 and single[0] != "A":
        flags["bos"] = single[0] == _content(settings.get("bos_token"))
    if len(single) > 1 and single[-1] != "A":
        flags["eos"] = single[-1] == _content(settings.get("eos_token"))
    if "A" in pair and "B" in pair:
        between = pair[pair.index("A") + 1 : pair.index("B")]
        if between:
            ends = {_content(settings.get(key)) for key in ("sep_token", "eos_token")} - {""}
            flags["sep"] = bool(ends & set(between)) and "eos" not in flags
    return flags


def _parts(template: object) -> list[str]:
    """A template's pieces: the names of its special tokens, and A and B for the texts."""
    names = []
    for piece in template if isinstance(template, list) else ():
        match piece:
            case {"SpecialToken": {"id": str(name)}} | {"Sequence": {"id": str(name)}}:
                names.append(name)
    return names


def _templates(folder: Path, settings: Mapping[str, Any]) -> dict[str, Value]:
    """The chat template of the checkpoint, and any further ones with a name."""
    templates = settings.get("chat_template") or _template_files(folder)
    if isinstance(templates, str):
        return {"tokenizer.chat_template": string(templates)} if templates else {}
    named = {}
    for entry in templates if isinstance(templates, list) else ():
        match entry:
            case {"name": str(name), "template": str(template)} if name and template:
                named[re.sub("[^0-9A-Za-z]", "_", name)] = template
    default = named.pop("default", None)
    entries = {f"tokenizer.chat_template.{name}": string(template) for name, template in named.items()}
    if named:
        entries["tokenizer.chat_templates"] = strings(sorted(named))
    if default:
        entries["tokenizer.chat_template"] = string(default)
    return entries


def _template_files(folder: Path) -> object:
    """The templates that stand in files of their own."""
    path = folder / "chat_template.jinja"
    if not path.is_file():
        path = folder / "chat_template.json"
        return read_json(path).get("chat_template") if path.is_file() else None
    others = sorted((folder / "additional_chat_templates").glob("*.jinja"))
    default = read_text(path)
    if not others:
        return default
    return [{"name": "default", "template": default}, *({"name": p.stem, "template": read_text(p)} for p in others)]


def _bad(what: str) -> BadCheckpoint:
    return BadCheckpoint(f"tokenizer.json {what}.", "Compare it with the file in Google's own repository.")
