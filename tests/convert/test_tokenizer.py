"""The tokenizer's keys follow tokenizer.json and tokenizer_config.json as transformers and llama.cpp read them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g4convert import metadata, tokenizer
from g4convert.gguf import Value, ValueType
from g4convert.tokenizer import TokenType
from g4local.core.errors import BadCheckpoint
from tests import checkpoints


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoints.write_tokenizer(tmp_path)
    return tmp_path


def keys(folder: Path, size: int | None = None, **config: Any) -> dict[str, Any]:
    written = tokenizer.keys(folder, config, size or len(checkpoints.vocabulary()))
    return {name.removeprefix("tokenizer."): value.data for name, value in written.items()}


def change(folder: Path, name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / name
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def types(folder: Path, **config: Any) -> dict[str, TokenType]:
    written = keys(folder, **config)
    return dict(zip(written["ggml.tokens"], map(TokenType, written["ggml.token_type"]), strict=True))


def test_tokens_are_in_the_order_of_their_ids_whatever_the_order_in_the_file(folder: Path) -> None:
    expected = keys(folder)
    assert expected["ggml.tokens"] == list(checkpoints.vocabulary())

    def turn(content: dict[str, Any]) -> None:
        content["model"]["vocab"] = dict(reversed(content["model"]["vocab"].items()))

    change(folder, "tokenizer.json", turn)
    assert keys(folder) == expected


def test_bytes_controls_and_visible_tokens_are_told_apart(folder: Path) -> None:
    found = types(folder)
    assert found["<0x0A>"] is TokenType.BYTE
    assert found["the"] is TokenType.NORMAL
    assert {token for token, kind in found.items() if kind is TokenType.CONTROL} == {
        *("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"),
        *("<|turn>", "<turn|>", "<|tool>", "<tool|>", "<|think|>"),
    }
    assert {token for token, kind in found.items() if kind is TokenType.USER_DEFINED} == set(tokenizer.VISIBLE)


def test_any_named_or_extra_special_token_is_a_control_token(folder: Path) -> None:
    assert types(folder)["an"] is TokenType.NORMAL
    for edit in (
        lambda settings: settings.update({"zzz_token": "an"}),
        lambda settings: settings.update({"zzz_token": {"content": "an"}}),
        lambda settings: settings.update({"extra_special_tokens": ["an"]}),
        lambda settings: settings.update({"extra_special_tokens": {"zzz_token": "an"}}),
        lambda settings: settings.update({"additional_special_tokens": [{"content": "an"}]}),
    ):
        checkpoints.write_tokenizer(folder)
        change(folder, "tokenizer_config.json", edit)
        assert types(folder)["an"] is TokenType.CONTROL


def test_added_tokens_outside_the_vocabulary_follow_it(folder: Path) -> None:
    size = len(checkpoints.vocabulary())

    def add(content: dict[str, Any]) -> None:
        content["added_tokens"] += [{"id": size + 1, "content": "<late>"}, {"id": size, "content": "plain"}]

    change(folder, "tokenizer.json", add)
    change(folder, "tokenizer_config.json", lambda settings: settings.update({"late_token": "<late>"}))
    written = keys(folder, size + 2)
    assert written["ggml.tokens"][size:] == ["plain", "<late>"]
    assert written["ggml.token_type"][size:] == [TokenType.USER_DEFINED, TokenType.CONTROL]


def test_merges_keep_their_order_and_hide_their_spaces(folder: Path) -> None:
    assert keys(folder)["ggml.merges"] == [f"{a} {b}" for a, b in checkpoints.MERGES]
    change(folder, "tokenizer.json", lambda content: content["model"].update({"merges": [["a b", " "]]}))
    assert keys(folder)["ggml.merges"] == ["a\u0120b \u0120"]
    change(folder, "tokenizer.json", lambda content: content["model"].update({"merges": ["t h"]}))
    assert keys(folder)["ggml.merges"] == ["t h"]


def test_roles_come_from_the_tokenizer_s_settings_before_the_config(folder: Path) -> None:
    written = keys(folder, bos_token_id=77, text_config={"sep_token_id": 5, "eos_token_id": [1, 16]})
    roles = {name: data for name, data in written.items() if name.endswith("_token_id")}
    assert roles == {
        "ggml.bos_token_id": 2,
        "ggml.eos_token_id": 1,
        "ggml.unknown_token_id": 3,
        "ggml.padding_token_id": 0,
        "ggml.mask_token_id": 4,
        "ggml.seperator_token_id": 5,
    }
    assert list(roles)[-1] == "ggml.seperator_token_id"


def test_a_bos_is_always_added_and_no_space(folder: Path) -> None:
    for edit in (lambda content: None, lambda content: content.update({"post_processor": None})):
        change(folder, "tokenizer.json", edit)
        written = keys(folder)
        assert written["ggml.add_bos_token"] is True
        assert written["ggml.add_space_prefix"] is False


@pytest.mark.parametrize(
    ("single", "pair", "eos", "sep"),
    [
        (["<bos>", "A"], ["<bos>", "A", "<bos>", "B"], None, False),
        (["<bos>", "A"], ["<bos>", "A", "B"], None, None),
        (["<bos>", "A", "<eos>"], ["<bos>", "A", "<eos>", "<bos>", "B", "<eos>"], True, False),
        (["<bos>", "A"], ["<bos>", "A", "<eos>", "B"], None, True),
    ],
)
def test_templates_say_what_else_is_added(
    single: list[str], pair: list[str], eos: bool | None, sep: bool | None, folder: Path
) -> None:
    def parts(names: list[str]) -> list[dict[str, Any]]:
        return [{"Sequence" if name in "AB" else "SpecialToken": {"id": name, "type_id": 0}} for name in names]

    processor = {"type": "TemplateProcessing", "single": parts(single), "pair": parts(pair)}
    for outer in (processor, {"type": "Sequence", "processors": [processor]}):
        change(folder, "tokenizer.json", lambda content, outer=outer: content.update({"post_processor": outer}))
        written = keys(folder)
        assert written.get("ggml.add_eos_token") is eos
        assert written.get("ggml.add_sep_token") is sep


def test_the_chat_template_is_found_wherever_it_is_kept(folder: Path) -> None:
    assert keys(folder)["chat_template"] == checkpoints.TEMPLATE
    (folder / "chat_template.jinja").unlink()
    assert "chat_template" not in keys(folder)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "from json"}))
    assert keys(folder)["chat_template"] == "from json"
    change(folder, "tokenizer_config.json", lambda settings: settings.update({"chat_template": "from settings"}))
    assert keys(folder)["chat_template"] == "from settings"


def test_further_chat_templates_are_kept_by_name(folder: Path) -> None:
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool use.jinja").write_text("tools")
    written = {name: data for name, data in keys(folder).items() if name.startswith("chat_template")}
    assert written == {
        "chat_template.tool_use": "tools",
        "chat_templates": ["tool_use"],
        "chat_template": checkpoints.TEMPLATE,
    }


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content.pop("model"),
        lambda content: content["model"].update({"type": "Unigram"}),
        lambda content: content["model"].update({"byte_fallback": False}),
        lambda content: content["model"].update({"vocab": [["a", 0.5]]}),
        lambda content: content["model"]["vocab"].update({"the": 1}),
        lambda content: content["model"]["vocab"].update({"the": "1"}),
        lambda content: content["model"]["vocab"].update({"the": 10**6}),
        lambda content: content["model"]["vocab"].update({"the": None}),
        lambda content: content["model"]["vocab"].pop("the"),
        lambda content: content["model"].update({"merges": [["a"]]}),
        lambda content: content["model"].update({"merges": [[1, 2]]}),
        lambda content: content.update({"added_tokens": [{"id": "0"}]}),
        lambda content: content.update({"added_tokens": "none"}),
    ],
)
def test_a_tokenizer_of_another_kind_is_told(edit: Callable[[dict[str, Any]], Any], folder: Path) -> None:
    change(folder, "tokenizer.json", edit)
    with pytest.raises(BadCheckpoint, match=r"^tokenizer\.json"):
        keys(folder)


def test_a_vocabulary_and_weights_of_different_sizes_are_told(folder: Path) -> None:
    with pytest.raises(BadCheckpoint, match="tokens, but"):
        keys(folder, size=500)


def test_sampling_is_google_s_where_it_is_given(folder: Path) -> None:
    checkpoints.write_json(
        folder / "generation_config.json",
        {"top_k": 64, "top_p": 0.95, "temperature": 1, "repetition_penalty": 1.1, "min_p": None, "mirostat": True},
    )
    written = {name: value for name, value in metadata.keys(folder, "gemma4").items() if "sampling" in name}
    assert written == {
        "general.sampling.top_k": Value(ValueType.INT32, 64),
        "general.sampling.top_p": Value(ValueType.FLOAT32, 0.95),
        "general.sampling.temp": Value(ValueType.FLOAT32, 1.0),
        "general.sampling.penalty_repeat": Value(ValueType.FLOAT32, 1.1),
    }


def test_tokens_that_must_not_be_said_are_kept(folder: Path) -> None:
    assert metadata.suppressed(folder) == {}
    for tokens, kept in (([258883, 258882], True), ([], False), ([-1], False), ("all", False), ([2**31], False)):
        checkpoints.write_json(folder / "generation_config.json", {"suppress_tokens": tokens})
        assert bool(metadata.suppressed(folder)) is kept


def test_a_model_is_called_after_its_folder_or_its_repository(tmp_path: Path) -> None:
    cached = tmp_path / "models--google--gemma-4-E2B-it" / "snapshots" / "0123abc"
    cached.mkdir(parents=True)
    assert metadata.name(cached) == "gemma-4-E2B-it"
    assert metadata.name(tmp_path / "mine") == "mine"
    assert metadata.name(cached / "..") == "snapshots"


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_template_that_is_no_file_is_told(make: Callable[[Path], None], folder: Path) -> None:
    change(folder, "tokenizer_config.json", lambda settings: settings.pop("chat_template", None))
    (folder / "chat_template.jinja").write_text("{{ bos_token }}", encoding="utf-8")
    (folder / "additional_chat_templates").mkdir()
    make(folder / "additional_chat_templates" / "odd.jinja")
    with pytest.raises(BadCheckpoint, match=r"odd\.jinja is no file"):
        keys(folder)


def test_a_template_of_a_terabyte_is_not_read(folder: Path) -> None:
    change(folder, "tokenizer_config.json", lambda settings: settings.pop("chat_template", None))
    with (folder / "chat_template.jinja").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadCheckpoint, match="too large"):
        keys(folder)
