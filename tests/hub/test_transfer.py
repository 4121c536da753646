"""One file from the hub: whole and right, or not there."""

import hashlib
from pathlib import Path
from threading import Event, Thread
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from g4local.core.errors import Cancelled, G4Error, NetworkError, UsageError
from g4local.core.locks import is_locked
from g4local.core.progress import silent
from g4local.hub import cache, downloading, transfer
from g4local.hub.downloading import download
from g4local.hub.listing import Remote, listing
from g4local.hub.transfer import Wanted, fetch
from tests.hub_server import Fault
from tests.hubs import Hub, noise

REPO, NAME, NBYTES = "some/repo", "model.gguf", 300_000


def ignore(nbytes: int) -> None:
    pass


@pytest.fixture
def wanted(here: Hub, tmp_path: Path) -> Wanted:
    here.put(REPO, NAME, noise(NBYTES))
    return Wanted(listing(REPO, None, Event()).file(NAME), tmp_path / "models" / NAME)


def names(wanted: Wanted) -> list[str]:
    return [path.name for path in wanted.target.parent.iterdir()]


def parts(wanted: Wanted) -> list[Path]:
    return list(wanted.target.parent.glob("*.part"))


def test_a_file_comes_whole_and_leaves_no_part(wanted: Wanted) -> None:
    told: list[int] = []
    fetch(wanted, told.append, Event())
    assert wanted.target.read_bytes() == noise(NBYTES)
    assert told[0] == 0 and told[-1] == NBYTES and told == sorted(told)
    assert not parts(wanted)


def test_a_small_file_that_git_keeps_is_checked_too(here: Hub, tmp_path: Path) -> None:
    here.put(REPO, "config.json", b'{"a": 1}')
    file = listing(REPO, None, Event()).file("config.json")
    assert len(file.digest) == 40
    fetch(Wanted(file, tmp_path / "config.json"), ignore, Event())
    assert (tmp_path / "config.json").read_bytes() == b'{"a": 1}'
    wrong = Remote(file.repo, file.commit, file.path, file.nbytes, "0" * 40)
    with pytest.raises(NetworkError):
        fetch(Wanted(wrong, tmp_path / "other.json"), ignore, Event())


@pytest.mark.parametrize("known", [0, 1, 65_536, NBYTES - 1, NBYTES])
def test_what_came_before_is_not_asked_for_again(here: Hub, wanted: Wanted, known: int) -> None:
    wanted.part.parent.mkdir()
    wanted.part.write_bytes(noise(NBYTES)[:known])
    here.faults()
    fetch(wanted, ignore, Event())
    assert wanted.target.read_bytes() == noise(NBYTES)
    assert here.sent() == NBYTES - known


@pytest.mark.parametrize("known", [b"other bytes", b"x" * (NBYTES + 1)])
def test_a_part_with_other_bytes_never_becomes_a_file(here: Hub, wanted: Wanted, known: bytes) -> None:
    wanted.part.parent.mkdir()
    wanted.part.write_bytes(known)
    try:
        fetch(wanted, ignore, Event())
    except NetworkError as error:
        assert "hash" in error.message
        assert not wanted.target.exists() and not parts(wanted)
        fetch(wanted, ignore, Event())
    assert wanted.target.read_bytes() == noise(NBYTES)


@pytest.mark.parametrize("fault", [{"stop_at": 100_000}, {"stop_at": 0}, {"stall_at": 150_000}, {"status": 503}])
def test_a_connection_that_is_lost_stalls_or_is_refused_once_is_opened_anew(
    here: Hub, wanted: Wanted, fault: dict[str, int]
) -> None:
    here.faults(Fault("cdn", times=2, **fault))  # type: ignore[arg-type]
    fetch(wanted, ignore, Event())
    assert wanted.target.read_bytes() == noise(NBYTES)
    assert here.sent() <= 1.1 * NBYTES + 2 * 65_536
    assert len([each for each in here.log() if each["path"].startswith("/cdn")]) in (2, 3)


def test_a_server_that_knows_no_ranges_sends_all_again_and_the_file_is_right(here: Hub, wanted: Wanted) -> None:
    here.faults(Fault("cdn", times=1, stop_at=100_000), Fault("cdn", no_ranges=True))
    fetch(wanted, ignore, Event())
    assert wanted.target.read_bytes() == noise(NBYTES)


def test_a_flipped_bit_is_found_and_nothing_is_left(here: Hub, wanted: Wanted) -> None:
    here.faults(Fault("cdn", times=1, flip_at=123_456))
    with pytest.raises(NetworkError, match="its hash is"):
        fetch(wanted, ignore, Event())
    assert names(wanted) == []
    fetch(wanted, ignore, Event())
    assert hashlib.sha256(wanted.target.read_bytes()).hexdigest() == wanted.file.digest


def test_a_file_that_changed_between_list_and_download_is_found(here: Hub, wanted: Wanted) -> None:
    here.put(REPO, NAME, noise(NBYTES, seed=1))
    with pytest.raises(NetworkError, match="its hash is"):
        fetch(wanted, ignore, Event())
    here.put(REPO, NAME, noise(NBYTES + 5, seed=1))
    with pytest.raises(NetworkError, match="300005 bytes instead of 300000"):
        fetch(wanted, ignore, Event())
    wanted.part.write_bytes(noise(NBYTES)[:100])
    with pytest.raises(NetworkError, match="instead of bytes 100- of 300000"):
        fetch(wanted, ignore, Event())
    assert not wanted.target.exists()


@pytest.mark.parametrize("answer", ["bytes 100-99/300000", "bytes 100-/300000", "bytes x", "bytes 100-199/200"])
def test_a_range_that_makes_no_sense_is_another_file(here: Hub, wanted: Wanted, answer: str) -> None:
    wanted.part.parent.mkdir()
    wanted.part.write_bytes(noise(NBYTES)[:100])
    here.faults(Fault("cdn", status=206, headers={"Content-Range": answer}))
    with pytest.raises(NetworkError, match="instead of bytes 100- of 300000"):
        fetch(wanted, ignore, Event())


def test_a_pointer_in_place_of_the_file_is_called_so(here: Hub, wanted: Wanted) -> None:
    here.faults(Fault("cdn", body="version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 300000\n"))
    with pytest.raises(NetworkError, match="Git LFS pointer"):
        fetch(wanted, ignore, Event())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("cdn", status=503), "problem of its own"),
        (Fault("cdn", status=429, headers={"Retry-After": "0"}), "asked too much"),
        (Fault("cdn", status=403), "does not give you"),
        (Fault("resolve", status=404, headers={"X-Error-Code": "EntryNotFound"}), "has no some/repo/model.gguf"),
        (Fault("cdn", stop_at=0), "can't be downloaded"),
        (Fault("cdn", status=418), "status 418"),
    ],
)
def test_what_never_comes_is_given_up_with_a_sentence(here: Hub, wanted: Wanted, fault: Fault, words: str) -> None:
    here.faults(fault)
    with pytest.raises(G4Error, match=words):
        fetch(wanted, ignore, Event())
    assert not wanted.target.exists()


def test_a_server_that_asks_for_a_long_wait_is_given_up_at_once(here: Hub, wanted: Wanted) -> None:
    here.faults(Fault("cdn", status=429, headers={"ratelimit": '"api";r=0;t=300'}))
    with pytest.raises(NetworkError, match="429"):
        fetch(wanted, ignore, Event())
    assert len(here.log()) == 2


def test_a_crawling_connection_is_opened_anew(here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("g4local.hub.patience._WINDOW", 0.3)
    here.faults(Fault("cdn", times=1, trickle=True))
    fetch(wanted, ignore, Event())
    assert wanted.target.read_bytes() == noise(NBYTES)


def test_a_token_goes_to_the_hub_and_to_nobody_else(here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch(wanted, ignore, Event())
    asked = {each["path"].split("/")[1]: each["Authorization"] for each in here.log()}
    assert asked["some"] == "Bearer hf_secret"
    assert asked["cdn"] == ""


def test_two_at_once_share_one_download(here: Hub, wanted: Wanted) -> None:
    here.rate(1_000_000)
    others = [Thread(target=fetch, args=(wanted, ignore, Event())) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert wanted.target.read_bytes() == noise(NBYTES)
    assert here.sent() == NBYTES
    assert not parts(wanted)


def test_a_stop_keeps_what_came(here: Hub, wanted: Wanted) -> None:
    here.rate(500_000)
    stop = Event()
    with pytest.raises(Cancelled):
        fetch(wanted, lambda nbytes: stop.set() if nbytes > 100_000 else None, stop)
    assert not wanted.target.exists()
    kept = wanted.part.stat().st_size
    assert kept > 100_000
    here.rate(0)
    fetch(wanted, ignore, Event())
    assert here.sent() == NBYTES - kept


def test_nobody_writes_any_more_when_a_download_was_stopped(here: Hub, wanted: Wanted) -> None:
    here.rate(500_000)
    stop = Event()
    with pytest.raises(Cancelled):
        download([wanted], lambda progress: stop.set() if progress.done else None, stop)
    assert wanted.part.exists() and not is_locked(wanted.part)
    with pytest.raises(Cancelled):
        download([wanted], silent, stop)
    assert not is_locked(wanted.part)


def test_a_disk_that_takes_no_more_is_told_and_what_came_is_kept(here: Hub, wanted: Wanted) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(G4Error, match="can't be written") as caught:
            fetch(wanted, ignore, Event())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.exit_code == 1
    assert wanted.part.stat().st_size == 200_000
    here.faults()
    fetch(wanted, ignore, Event())
    assert here.sent() == NBYTES - 200_000


@pytest.mark.parametrize("known", [0, 99_999, 100_000, 250_000, NBYTES])
def test_what_is_too_large_for_one_answer_comes_in_several(
    here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    monkeypatch.setattr(transfer, "_MOST_AT_ONCE", 100_000)
    wanted.part.parent.mkdir()
    wanted.part.write_bytes(noise(NBYTES)[:known])
    here.faults(Fault("cdn", times=1, most=100_000, stop_at=known + 50_000), Fault("cdn", most=100_000))
    told: list[int] = []
    fetch(wanted, told.append, Event())
    assert wanted.target.read_bytes() == noise(NBYTES) and names(wanted) == [NAME]
    assert told[-1] == NBYTES and told == sorted(told)
    assert here.sent() == NBYTES - known


def test_a_large_file_that_is_stopped_is_gone_on_with(
    here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_MOST_AT_ONCE", 100_000)
    stop = Event()
    with pytest.raises(Cancelled):
        fetch(wanted, lambda nbytes: stop.set() if nbytes > 150_000 else None, stop)
    kept = wanted.part.stat().st_size
    here.faults()
    fetch(wanted, ignore, Event())
    assert here.sent() == NBYTES - kept and kept > 150_000


def test_a_server_without_ranges_is_asked_once_for_a_large_file(
    here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_MOST_AT_ONCE", 100_000)
    here.faults(Fault("cdn", no_ranges=True))
    fetch(wanted, ignore, Event())
    assert wanted.target.read_bytes() == noise(NBYTES) and here.sent() == NBYTES


def test_a_link_in_the_parts_place_is_not_written_through(here: Hub, wanted: Wanted, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    wanted.part.parent.mkdir()
    wanted.part.symlink_to(precious)
    with pytest.raises(G4Error, match="can't be written"):
        fetch(wanted, ignore, Event())
    assert precious.read_text() == "mine"


def test_no_server_at_all_is_a_sentence(here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    with pytest.raises(NetworkError) as caught:
        fetch(wanted, ignore, Event())
    assert caught.value.exit_code == 7 and "connection" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HTTP_PROXY", "foo://somebody:secret@x", "HTTPS_PROXY"),
        ("ALL_PROXY", "socks5://127.0.0.1:9", "HTTPS_PROXY"),
        ("SSL_CERT_FILE", "/nonexistent", "SSL_CERT_FILE"),
    ],
)
def test_a_proxy_or_certificates_that_are_none_are_called_so(
    here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv(name, value)
    huggingface_hub.close_session()
    for ask in (lambda: listing(REPO, None, Event()), lambda: fetch(wanted, ignore, Event())):
        with pytest.raises(UsageError, match=words) as caught:
            ask()
        assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_a_file_that_somebody_removes_at_once_is_told(
    here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*arguments: Any) -> None:
        fetch(*arguments)
        wanted.target.unlink()

    monkeypatch.setattr(downloading, "fetch", late)
    with pytest.raises(G4Error, match="somebody removed it"):
        download([wanted], silent, Event())


def test_an_error_that_nobody_foresaw_ends_a_download_as_itself(
    here: Hub, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unforeseen(*arguments: object) -> None:
        raise FileNotFoundError("a file of somebody else's")

    monkeypatch.setattr(transfer, "_connection", unforeseen)
    with pytest.raises(FileNotFoundError, match="somebody else's"):
        download([wanted], silent, Event())


@pytest.mark.parametrize("address", ["file:///etc/passwd", "gopher://x/y", ""])
def test_an_address_that_is_refused_leaves_no_part(here: Hub, wanted: Wanted, address: str) -> None:
    here.faults(Fault("resolve", status=302, headers={"Location": address}))
    with pytest.raises(NetworkError) as caught:
        fetch(wanted, ignore, Event())
    assert names(wanted) == [] and not caught.value.message.endswith("..")


@pytest.mark.parametrize("path", ["a\\..\\m-Q8_0.gguf", "m" * 400 + ".gguf"])
def test_a_name_that_the_cache_can_not_have_is_not_in_it(tmp_path: Path, path: str) -> None:
    assert not cache.link(Wanted(Remote(REPO, "0" * 40, path, 1, "0" * 64), tmp_path / "x.gguf"), Event())
