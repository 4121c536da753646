"""What the hub says of a repository, and which of its files are meant."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from threading import Event
from unittest.mock import patch

import pytest
from huggingface_hub import constants
from hypothesis import given, settings
from hypothesis import strategies as st

from g4local.core.errors import G4Error, ModelNotFound, NetworkError, UsageError
from g4local.hub.listing import Remote, Repository, listing
from g4local.placing import placed
from tests.hub_server import TOKEN, Fault
from tests.hubs import Hub, noise


def repository(*paths: str) -> Repository:
    files = tuple(Remote("o/r", "c", path, 1, "0" * 64) for path in sorted(paths))
    return Repository("o/r", "c", files)


def test_sizes_and_hashes_are_those_of_the_files_and_not_of_their_pointers(here: Hub) -> None:
    here.put("o/r", "BF16/m-BF16.gguf", noise(5000))
    here.put("o/r", "config.json", b"{}")
    found = listing("o/r", None, Event())
    large, small = found.files
    assert (large.path, large.nbytes, len(large.digest)) == ("BF16/m-BF16.gguf", 5000, 64)
    assert (small.path, small.nbytes, small.digest) == ("config.json", 2, "9e26dfeeb6e641a33dae4961196235bdb965b21b")
    assert found.commit == large.commit
    assert found.file("m-BF16.gguf") == large


@pytest.mark.parametrize(
    ("path", "kind", "quant"),
    [
        ("gemma-4-E2B_q4_0-it.gguf", "model", "Q4_0"),
        ("gemma-4-12b-it-qat-q4_0.gguf", "model", "Q4_0"),
        ("gemma-4-E4B-it-UD-Q4_K_XL.gguf", "model", "UD-Q4_K_XL"),
        ("BF16/gemma-4-31B-it-BF16-00001-of-00002.gguf", "model", "BF16"),
        ("gemma-4-E4B-it-IQ4_XS.gguf", "model", "IQ4_XS"),
        ("gemma-4-E2B-it-mmproj.gguf", "mmproj", ""),
        ("mmproj-F16.gguf", "mmproj", "F16"),
        ("mtp-gemma-4-E4B-it-Q8_0.gguf", "drafter", "Q8_0"),
        ("MTP/gemma-4-31B-it-Q8_0-MTP.gguf", "drafter", "Q8_0"),
        ("imatrix_unsloth.gguf", "other", ""),
        ("model-00001-of-00002.safetensors", "other", ""),
    ],
)
def test_a_name_tells_what_a_file_is_for(path: str, kind: str, quant: str) -> None:
    file = Remote("o/r", "c", path, 1, "")
    assert (file.kind, file.quant) == (kind, quant)


def test_a_quant_is_found_by_name_and_a_usual_one_without() -> None:
    there = repository("m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-IQ2_M.gguf", "mmproj-F16.gguf", "mmproj-Q8_0.gguf")
    assert [file.path for file in there.model("q8_0")] == ["m-Q8_0.gguf"]
    assert [file.path for file in there.model(None)] == ["m-Q4_K_M.gguf"]
    assert there.sidecar("mmproj").path == "mmproj-F16.gguf"
    with pytest.raises(ModelNotFound) as caught:
        there.model("Q6_K")
    assert "Q8_0, " in caught.value.hint or "Q4_K_M" in caught.value.hint
    with pytest.raises(ModelNotFound, match="no drafter"):
        there.sidecar("drafter")
    with pytest.raises(ModelNotFound, match="2 quants and none of the usual"):
        repository("m-Q2_K.gguf", "m-Q3_K_M.gguf").model(None)


def test_a_model_in_several_files_is_all_of_them() -> None:
    names = [f"B/m-BF16-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    there = repository(*names, "m-Q8_0.gguf")
    assert [file.path for file in there.model("bf16")] == names


def test_a_repository_without_ggufs_says_what_to_do() -> None:
    with pytest.raises(ModelNotFound) as caught:
        repository("model.safetensors", "config.json").model(None)
    assert "--from-checkpoint" in caught.value.hint


def test_a_checkpoint_is_what_the_converter_reads() -> None:
    paths = ["config.json", "model-00001-of-00001.safetensors", "tokenizer.model", "chat_template.jinja"]
    there = repository(*paths, "README.md", "original/consolidated.pth", "x.gguf", ".gitattributes")
    assert sorted(file.path for file in there.checkpoint()) == sorted(paths)
    with pytest.raises(ModelNotFound, match="no safetensors"):
        repository("config.json").checkpoint()


UNSAFE = (
    "../x.gguf",
    "/etc/x.gguf",
    "a\n.gguf",
    "a\\..\\m-Q8_0.gguf",
    ".m-Q8_0.gguf",
    ".git/m-Q8_0.gguf",
    "a//m-Q8_0.gguf",
    "ä" * 110 + ".gguf",
    "m" * 400 + ".gguf",
)


def test_the_longest_name_has_room_for_all_that_it_gets_here(here: Hub, tmp_path: Path) -> None:
    """The repository's name before it, and behind it what a part is called."""
    model = "r" * 80
    name = "m" * (255 - len(f"owner/{model}") - 36 - 5) + ".gguf"
    here.put(f"owner/{model}", name, noise(2000))
    (file,) = listing(f"owner/{model}", None, Event()).files
    (place,) = placed([file], [None], tmp_path, lambda *_: False, "refs/heads/some-branch")
    longest = place.target.with_name(f"owner-{'b' * 12}-{place.target.name}")
    for path in (longest, replace(place, target=longest).part):
        path.touch()


@pytest.mark.parametrize(
    "fault",
    [
        Fault("api", body='{"id": "' + "x" * 100_000, is_endless=True),
        Fault("api", body="x" * 100_000, is_endless=True, status=404),
        Fault("api", body="\x1f", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_an_answer_that_would_fill_the_memory_is_given_up(here: Hub, fault: Fault) -> None:
    here.faults(fault)
    tracemalloc.start()
    with pytest.raises(G4Error):
        listing("o/r", None, Event())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 100_000_000


def test_an_answer_that_never_ends_is_given_up(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("g4local.hub.listing._MOST_SECONDS", 0.0)
    here.put("o/r", "m-Q8_0.gguf", noise(2000))
    with pytest.raises(NetworkError, match="no Hugging Face hub"):
        listing("o/r", None, Event())


def test_paths_that_lead_elsewhere_and_files_without_hash_are_left_out(here: Hub) -> None:
    siblings = [
        {"rfilename": name, "size": 1, "blobId": blob}
        for name, blob in (*((name, "0" * 40) for name in UNSAFE), ("b.gguf", "?"))
    ]
    here.faults(Fault("api", body=json.dumps({"id": "o/r", "sha": "0" * 40, "siblings": siblings})))
    found = listing("o/r", None, Event())
    assert found.files == () and set(found.refused) == {*UNSAFE, "b.gguf"}
    for ask in (lambda: found.model(None), lambda: found.file("b.gguf")):
        with pytest.raises(ModelNotFound, match="not safe"):
            ask()
    here.faults(Fault("api", body=json.dumps({"id": "o/r", "sha": "../../../../x" + "0" * 30, "siblings": []})))
    with pytest.raises(NetworkError, match="no Hugging Face hub"):
        listing("o/r", None, Event())


@pytest.mark.parametrize(
    ("fault", "kind", "code", "words"),
    [
        (Fault("api", status=401, headers={"X-Error-Code": "RepoNotFound"}), ModelNotFound, 3, "no o/r"),
        (Fault("api", status=403, headers={"X-Error-Code": "GatedRepo"}), NetworkError, 7, "accepted its terms"),
        (Fault("api", status=401), NetworkError, 7, "does not give you"),
        (Fault("api", status=429), NetworkError, 7, "asked too much"),
        (Fault("api", status=503), NetworkError, 7, "problem of its own"),
        (Fault("api", status=400), NetworkError, 7, "status 400"),
        (Fault("api", body="<html>Log in to the hotel</html>"), NetworkError, 7, "no Hugging Face hub"),
        (Fault("api", body="[]"), NetworkError, 7, "no Hugging Face hub"),
        (Fault("api", body="{}"), NetworkError, 7, "no Hugging Face hub"),
    ],
)
def test_a_refusal_is_a_sentence(here: Hub, fault: Fault, kind: type[G4Error], code: int, words: str) -> None:
    here.faults(fault)
    with pytest.raises(kind, match=words) as caught:
        listing("o/r", None, Event())
    assert caught.value.exit_code == code and caught.value.hint


def test_what_passes_is_asked_again(here: Hub) -> None:
    here.put("o/r", "m-Q8_0.gguf", noise(2000))
    here.faults(Fault("api", status=503, times=1), Fault("api", status=429, times=1))
    assert len(listing("o/r", None, Event()).files) == 1
    assert len(here.log()) == 3


def test_a_gated_repository_needs_the_right_token(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    here.put("o/r", ".gated", b"")
    here.put("o/r", "m-Q8_0.gguf", noise(2000))
    with pytest.raises(NetworkError) as caught:
        listing("o/r", None, Event())
    assert "HF_TOKEN" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert len(listing("o/r", None, Event()).files) == 1


def test_a_proxy_is_used(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub itself stands in for the proxy, which is asked for a whole address."""
    here.put("o/r", "m-Q8_0.gguf", noise(2000))
    for name, value in {"HTTP_PROXY": here.endpoint, "NO_PROXY": "", "no_proxy": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.invalid")
    assert len(listing("o/r", None, Event()).files) == 1
    assert here.log()[0]["Host"] == "hub.invalid"


def test_names_that_are_none_and_revisions_that_are_gone(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    here.put("o/r", "m-Q8_0.gguf", noise(2000))
    with pytest.raises(UsageError):
        listing("o/r--x", None, Event())
    with pytest.raises(ModelNotFound):
        listing("o/r", "gone", Event())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        listing("o/r", None, Event())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("a" * 40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FILE = st.fixed_dictionaries(
    {},
    optional={
        "rfilename": JSON | st.sampled_from(["m-Q8_0.gguf", "../x", "/x"]),
        "size": JSON,
        "blobId": JSON,
        "lfs": JSON | st.fixed_dictionaries({"size": JSON, "sha256": JSON, "pointerSize": JSON}),
    },
)
ANSWER = JSON | st.fixed_dictionaries(
    {"id": JSON}, optional={"sha": JSON | st.just("0" * 40), "siblings": JSON | st.lists(FILE, max_size=3)}
)


@given(ANSWER)
@settings(max_examples=200, deadline=None)
def test_whatever_a_hub_says_is_a_listing_or_a_sentence(answer: object) -> None:
    with patch("g4local.hub.listing._answer", lambda *asked: json.dumps(answer).encode()):
        try:
            found = listing("o/r", None, Event())
        except G4Error:
            return
    for file in found.files:
        assert ".." not in file.path.split("/") and not file.path.startswith("/") and file.nbytes >= 0


def test_the_hub_is_told_nothing_of_this_machine(here: Hub) -> None:
    here.put("o/r", "m-Q8_0.gguf", noise(2000))
    listing("o/r", None, Event())
    (asked,) = here.log()
    names = [part.split("/")[0] for part in asked["User-Agent"].split("; ")]
    assert names == ["g4local", "hf_hub", "python"]


@pytest.mark.parametrize("endpoint", ["nonsense", "ftp://x", "http://", "http://h:xx", "http://a b"])
def test_a_mirror_that_is_no_address_is_called_so(here: Hub, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    with pytest.raises(UsageError, match="HF_ENDPOINT is"):
        listing("o/r", None, Event())


def test_a_mirror_that_is_away_is_told_in_words(here: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NetworkError, match=r"downloaded: Connection refused\.$"):
        listing("o/r", None, Event())
