"""The known models, and what a reference means."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g4local import catalog, planner
from g4local.catalog import Reference, reference
from g4local.core.errors import G4Error, ModelNotFound, UsageError


@pytest.mark.parametrize(
    ("text", "size", "quant"),
    [
        ("e2b", "e2b", None),
        ("26b", "26b-a4b", None),
        ("26B-A4B:q8_0", "26b-a4b", "q8_0"),
        ("gemma-4-26b-a4b-it", "26b-a4b", None),
        ("gemma-4-E4B:qat", "e4b", "qat"),
        ("gemma4:e2b", "e2b", None),
        ("Gemma4:26b", "26b-a4b", None),
        ("gemma4:26b-a4b-it-q8_0", "26b-a4b", "q8_0"),
        ("gemma4:31b-it-q4_K_M", "31b", "q4_K_M"),
    ],
)
def test_a_size_has_several_names(text: str, size: str, quant: str | None) -> None:
    found = reference(text)
    assert found.known and (found.known.name, found.quant) == (size, quant)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("owner/repo", Reference(repo="owner/repo")),
        ("owner/repo:q4_k_m", Reference(repo="owner/repo", quant="q4_k_m")),
        ("owner/repo:sub/m.gguf", Reference(repo="owner/repo", file="sub/m.gguf")),
        ("hf.co/owner/repo:m.gguf", Reference(repo="owner/repo", file="m.gguf")),
        ("owner/repo@v1:q8_0", Reference(repo="owner/repo", revision="v1", quant="q8_0")),
        ("https://huggingface.co/owner/repo", Reference(repo="owner/repo")),
        (
            "https://huggingface.co/owner/repo/blob/main/sub/m.gguf?x=1",
            Reference(repo="owner/repo", revision="main", file="sub/m.gguf"),
        ),
    ],
)
def test_a_repository_is_named_as_elsewhere(text: str, meant: Reference) -> None:
    assert reference(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "nope",
        "/",
        "a/b/c",
        "https://example.org/a/b",
        "a/..\n",
        "e2b/",
        "ä/b",
        "e2b@v1",
        "26b@v1:q8_0",
        "gemma4",
        "gemma4:7b",
        "gemma4:",
    ],
)
def test_what_means_nothing_is_told(text: str) -> None:
    with pytest.raises((ModelNotFound, UsageError)):
        reference(text)


@given(st.text(max_size=30) | st.from_regex(r"[a-z./:@]{1,20}", fullmatch=True))
def test_any_text_is_a_reference_or_a_sentence(text: str) -> None:
    try:
        meant = reference(text)
    except G4Error:
        return
    assert meant.known or re.fullmatch(r"[\w.-]+/[\w.-]+", meant.repo)


def test_a_quant_that_is_not_known_names_those_that_are() -> None:
    size = catalog.known("e2b")
    assert size
    assert size.entry("qat") == size.entry("q4_0") == size.entry(None)
    with pytest.raises(G4Error) as caught:
        size.entry("q3_k_m")
    assert "qat-q4_0, q4_k_m, q8_0" in caught.value.hint


def test_the_catalog_holds_all_sizes_and_only_what_can_be_true() -> None:
    assert tuple(catalog.catalog()) == planner.SIZES
    for size in catalog.catalog().values():
        assert planner.config(size.name)["max_position_embeddings"] == size.context
        assert len({entry.quant for entry in size.models}) == len(size.models)
        assert size.sidecar("mmproj").repo and size.sidecar("drafter").repo
        for entry in size.entries:
            assert re.fullmatch(r"[0-9a-f]*", entry.sha256)
            assert entry.nbytes is None or entry.nbytes > 10_000_000
            assert re.fullmatch(r"(google|ggml-org|unsloth)/gemma-4-[\w.-]+-(gguf|GGUF)", entry.repo)


def test_what_the_shell_offers_can_be_pulled() -> None:
    for name in catalog.names():
        assert reference(name).known
    assert {"26b", "26b-a4b", "e2b"} <= set(catalog.names())
