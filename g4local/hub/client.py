"""The door to huggingface_hub: loaded when it is needed, without telemetry, its errors as sentences.

Mirrors (HF_ENDPOINT), proxies (HTTPS_PROXY, NO_PROXY), tokens (HF_TOKEN, `hf auth login`) and time limits
(HF_HUB_DOWNLOAD_TIMEOUT) are the library's own, and mean here what they mean elsewhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from g4local import __version__
from g4local.core.addresses import is_address
from g4local.core.errors import ModelNotFound, NetworkError, UsageError, reason

if TYPE_CHECKING:
    from httpx2 import Client, Response

NAME = "g4local"
"""What the hub is told of us, with the version."""

_PASSING_STATUS = (408, 429, 500, 502, 503, 504)
_FORBIDDEN_STATUS = (401, 403)
_TOKEN_HINT = "Accept its terms on its page, then set HF_TOKEN to a token of yours, or run `hf auth login`."
_CONNECTION_HINT = "Check your connection, HTTPS_PROXY and HF_ENDPOINT; what is here already is kept."


class Passing(NetworkError):
    """A failure that may be over in a moment, such as a lost connection or a server with too much to do."""

    def __init__(self, message: str, hint: str = _CONNECTION_HINT, seconds: float | None = None) -> None:
        super().__init__(message, hint)
        self.seconds = seconds
        """How long the server asks to wait."""


def prepare() -> None:
    """Load the library, which is to print nothing; UsageError where a variable of its is no number or no address."""
    _keep_quiet()
    try:
        import_module("huggingface_hub.constants")  # reads its variables; what imports it lazily prints its errors
    except ValueError as error:
        raise UsageError(
            f"A variable of huggingface_hub's makes no sense: {reason(error)}.",
            "HF_HUB_DOWNLOAD_TIMEOUT and HF_HUB_ETAG_TIMEOUT are whole numbers of seconds.",
        ) from error
    from huggingface_hub import constants
    from huggingface_hub.utils import logging

    logging.set_verbosity(logging.ERROR)
    if not is_address(constants.ENDPOINT):
        raise UsageError(
            f"HF_ENDPOINT is {constants.ENDPOINT!r}, which is no address.",
            "It looks like https://hub.example.org; without it, it is Hugging Face's own.",
        )


def session() -> "Client":
    """The library's HTTP client; UsageError where the environment names a proxy or certificates that are none."""
    _keep_quiet()
    from huggingface_hub.utils import get_session

    try:
        return get_session()
    except (ValueError, ImportError) as error:
        raise UsageError(
            "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is none that can be used.",
            "A proxy is http://HOST:PORT or https://HOST:PORT; SOCKS is not known here.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"SSL_CERT_FILE or SSL_CERT_DIR can't be used: {reason(error)}.",
            "Unset it, or name a file of certificates.",
        ) from error


def headers() -> dict[str, str]:
    """What goes with a request for a file: who we are, and the user's token if there is one."""
    _keep_quiet()
    from huggingface_hub.utils import build_hf_headers

    return build_hf_headers(library_name=NAME, library_version=__version__)


def timeout() -> float:
    """Seconds without a byte after which a connection counts as lost."""
    from huggingface_hub import constants

    return constants.HF_HUB_DOWNLOAD_TIMEOUT


def expect_success(response: "Response") -> None:
    """Raise the library's error for a status that is one, whatever else comes: of the body nothing is read."""
    from httpx2 import Response
    from huggingface_hub.utils import hf_raise_for_status

    if response.is_error:
        told = {name: value for name, value in response.headers.items() if name.lower().startswith(("x-", "r"))}
        hf_raise_for_status(Response(response.status_code, headers=told, request=response.request))


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what the library raises into a sentence about `what`, a repository or a file of one.

    ModelNotFound where there is no such thing, UsageError for a name that can't be one, NetworkError for all else;
    Passing where it is worth another try.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise NetworkError(f"{what} is given only to people who accepted its terms.", _TOKEN_HINT) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError) as error:
        raise ModelNotFound(
            f"The hub has no {what}, or does not show it to you.", "Check the name; a private one needs HF_TOKEN."
        ) from error
    except errors.HFValidationError as error:
        raise UsageError(f"{what} can't be the name of a repository.", "Names are like owner/repo.") from error
    except errors.OfflineModeIsEnabled as error:
        raise NetworkError(
            f"{what} can't be reached: HF_HUB_OFFLINE forbids every connection.", "Unset it to download."
        ) from error
    except errors.HfHubHTTPError as error:
        raise _refusal(what, error.response) from error
    except (httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        raise Passing(f"{what} can't be downloaded: {reason(error)}.") from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NetworkError(f"{what} can't be downloaded: {reason(error)}.", _CONNECTION_HINT) from error


def _keep_quiet() -> None:
    """Have the library tell nobody who asks through us, nor look for a newer version; it reads this when it is loaded.

    (With telemetry on, it asks the hub for a list of programs once a day, to tell it which of them it is called by.)
    """
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"


def _refusal(what: str, response: "Response") -> NetworkError:
    """What a status code means for the person who waits."""
    status = response.status_code
    if status in _FORBIDDEN_STATUS:
        return NetworkError(f"The server does not give you {what} (status {status}).", _TOKEN_HINT)
    if status in _PASSING_STATUS:
        why = "is asked too much of" if status == 429 else "has a problem of its own"
        return Passing(
            f"{what} can't be downloaded now: the server {why} (status {status}).",
            "Try again later; what is here already is kept.",
            _asked_seconds(response),
        )
    return NetworkError(f"{what} can't be downloaded: the server answers with status {status}.", _CONNECTION_HINT)


def _asked_seconds(response: "Response") -> float | None:
    """What Retry-After, or the hub's own header, asks for."""
    from huggingface_hub.utils import parse_ratelimit_headers

    limit = parse_ratelimit_headers(response.headers)
    if limit and limit.remaining == 0:
        return limit.reset_in_seconds
    asked = response.headers.get("Retry-After", "").strip()
    return float(asked) if asked.isdecimal() and asked.isascii() else None
