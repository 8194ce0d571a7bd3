"""Blobs of a storage account, through fsspec and adlfs: listed by prefix, and read in few requests.

adlfs finds the credentials and makes the connection. Requests go through the client that it made: its own paths are
URLs, in which some names of blobs cannot be told, and its listings answer some failures as if nothing were there.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from ..errors import MissingExtraError, UsageFormatError
from .period import Period

__all__ = ["Blob", "find_blobs", "is_url"]

BLOCK_BYTES = 8 << 20
"""So much is asked for at once; most blobs of an hour come in one request, and one block is in memory for each file."""

_SCHEMES = ("abfs", "abfss", "az", "https")
# Only hosts of Azure's clouds: a token of the user's identity goes to no other. Others are a matter of `account_host`.
_HOST = re.compile(
    r"(?P<account>[a-z0-9]{3,24})(?P<zone>(?:-secondary)?(?:\.z\d+)?)\.(?:blob|dfs)"
    r"\.(?P<cloud>core\.windows\.net|core\.chinacloudapi\.cn|core\.usgovcloudapi\.net|storage\.azure\.net)"
)
_CONTAINER = re.compile(r"\$(?:root|logs|web)|[a-z0-9](?:-?[a-z0-9]){2,62}")
_CODE = re.compile(r"[A-Za-z]{1,60}")


def is_url(path: str) -> bool:
    """Tell the URL of a blob, folder or container from the path of a file."""
    scheme, found, _ = path.partition("://")
    return bool(found) and scheme.lower() in _SCHEMES


class _Store:
    """A storage account as `options` open it; other processes connect anew."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._connected: tuple[int, Any] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Store, (self._options,)

    @property
    def client(self) -> Any:
        """The client of the account, for `call`."""
        return self._filesystem().service_client

    def call(self, asked: Callable[..., Any], *args: Any) -> Any:
        """Run a coroutine function where the connection lives, with the client, and return what it returns."""
        from fsspec.asyn import sync

        return sync(self._filesystem().loop, asked, self.client, *args)

    def sign_in(self) -> None:
        """Get a token, where the user's identity opens the account.

        The first request would do so too, and try four times within a minute and a half where there is no identity.
        """
        from fsspec.asyn import sync

        filesystem = self._filesystem()
        get_token = getattr(filesystem.credential, "get_token", None)
        if iscoroutinefunction(get_token) and not filesystem.connection_string:
            sync(filesystem.loop, get_token, "https://storage.azure.com/.default")

    def connect(self, *, anew: bool) -> None:
        """Connect; `anew` where the environment may have changed, which adlfs reads once for equal options."""
        try:
            from adlfs import AzureBlobFileSystem
        except ImportError:
            raise MissingExtraError("azure") from None
        # What is open in one process is of no use in a process that was forked from it.
        self._connected = os.getpid(), AzureBlobFileSystem(**self._options, skip_instance_cache=anew)

    def _filesystem(self) -> Any:
        if self._connected is None or self._connected[0] != os.getpid():
            self.connect(anew=False)
        assert self._connected is not None
        return self._connected[1]


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob as long as it was when it was listed: one that is still written to is read up to there.

    It can be pickled, with the options that open it: whoever has it has the secrets in them.
    """

    store: _Store = field(repr=False)
    container: str
    name: str
    size: int
    """Bytes."""
    version: str
    """What changes when the blob does."""
    shown: str

    def open(self, mode: str = "rb") -> BinaryIO:
        """Open the blob for reading; it can seek.

        Raises
        ------
        UsageFormatError
            If the store refuses or fails, here and while reading.
        MissingExtraError
            If adlfs is not installed.
        """
        if mode != "rb":
            raise ValueError("a blob is opened for reading bytes")
        return io.BufferedReader(_Bytes(self), BLOCK_BYTES)

    def fetch(self, start: int, length: int) -> bytes:
        """Return `length` bytes from `start` on, in one request."""
        with _named_errors(self.shown):
            found: bytes = self.store.call(_download, self.container, self.name, start, length)
        return found


class _Bytes(io.RawIOBase):
    """The bytes of a blob: what is read here is a request each."""

    def __init__(self, blob: Blob) -> None:
        self._blob, self._at = blob, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._blob.size}[whence] + offset
        if start < 0:
            raise ValueError("a place before the beginning of the file")
        self._at = start
        return start

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._blob.size - self._at)
        if wanted <= 0:
            return 0
        found = self._blob.fetch(self._at, wanted)
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a URL names."""

    container: str
    path: str
    account: str | None
    options: dict[str, Any] = field(repr=False)
    """What the URL adds to the options of the connection."""
    before: str
    """The URL of the container, for messages: without a token."""
    quoted: bool

    def shown(self, name: str) -> str:
        """Return the URL of a blob, as it can be given again."""
        text = quote(name, safe="/=") if self.quoted else name
        return self.before + text.encode("utf-8", "backslashreplace").decode("utf-8")


def find_blobs(
    url: str, period: Period, storage_options: Mapping[str, Any] | None
) -> dict[tuple[str | None, str, str], Blob]:
    """Return the blobs that a URL names, those below a folder or container included, hidden ones left out.

    Folders of hours outside `period` are neither listed nor read. The keys tell a blob that other URLs name too.

    Raises
    ------
    UsageFormatError
        If the URL cannot be used, nothing is there, or the store refuses or fails; the message never holds a secret.
    MissingExtraError
        If adlfs is not installed.
    """
    place = _place_of(url)
    given = place.shown(place.path)
    options = {**place.options, **(storage_options or {})}
    if "AZURE_STORAGE_ANON" not in os.environ:
        # Without a key older versions of adlfs ask as nobody, newer ones as the user.
        options.setdefault("anon", False)
    store = _Store(options)
    try:
        store.connect(anew=True)
    except (ValueError, TypeError):
        raise UsageFormatError(
            given,
            "no connection can be made with what is given; name the account in the URL "
            "(abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/...), in storage_options or in AZURE_STORAGE_ACCOUNT_NAME",
        ) from None
    account = store.client.account_name
    if None not in (account, place.account) and account != place.account:
        reason = "the connection string or storage_options are of another account than the URL"
        raise UsageFormatError(given, reason)
    with _named_errors(given):
        store.sign_in()
        listed: list[tuple[str, int, str]] = store.call(_list, place.container, place.path, period)
    blobs = {
        (account, place.container, name): Blob(store, place.container, name, size, version, place.shown(name))
        for name, size, version in listed
        if not any(part.startswith(".") for part in name.removeprefix(place.path).split("/"))
    }
    if not blobs:
        wanted = " in the hours that since and until ask for" if period != Period() else ""
        raise UsageFormatError(given, f"no such blob or folder, or nothing in it{wanted}")
    return blobs


def _place_of(url: str) -> _Place:
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme == "https":
        parts = urlsplit(url)
        host, token = parts.netloc, parts.query
        container, _, path = unquote(parts.path).lstrip("/").partition("/")
        before = f"https://{host}/{container}/"
    else:
        bare, _, token = rest.rpartition("?")
        if not bare or "sig=" not in token:
            bare, token = rest, ""  # a letter of the name
        authority, _, path = bare.partition("/")
        container, at, host = authority.rpartition("@") if "@" in authority else (authority, "", "")
        before = f"{scheme}://{container}{at}{host}/"
    found = _HOST.fullmatch(host.lower())
    if not _CONTAINER.fullmatch(container) or (host and found is None) or (token and "sig=" not in token):
        # Nobody knows what stands where in it, so nothing of it is shown.
        raise UsageFormatError(
            f"{scheme}://...",
            "not the URL of a container or what is in it, such as abfs://CONTAINER/PATH, "
            "abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH or https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH",
        )
    options: dict[str, Any] = {"sas_token": token} if token else {}
    account = None
    if found is not None:
        account = found["account"]
        options["account_name"] = account
        if found["zone"] or found["cloud"] != "core.windows.net":
            options["account_host"] = f"{account}{found['zone']}.blob.{found['cloud']}"
    return _Place(container, path.lstrip("/"), account, options, before, quoted=scheme == "https")


async def _list(client: Any, container: str, path: str, period: Period) -> list[tuple[str, int, str]]:
    """Return name, size and version of a blob, or of the blobs in a folder."""
    from azure.core.exceptions import ResourceNotFoundError

    if path and not path.endswith("/"):
        try:
            blob = await client.get_blob_client(container, path).get_blob_properties()
        except ResourceNotFoundError as error:
            if error.error_code != "BlobNotFound":
                raise
        else:
            if not _is_folder(blob):
                return [(path, blob.size, blob.etag)] if period.may_be_in(path.split("/")) else []
        path += "/"
    found: list[tuple[str, int, str]] = []
    await _walk(client.get_container_client(container), path, period, found)
    return found


async def _walk(container: Any, folder: str, period: Period, found: list[tuple[str, int, str]]) -> None:
    if period.is_all_of(folder.split("/")):
        async for blob in container.list_blobs(name_starts_with=folder, include=["metadata"]):
            if not _is_folder(blob):
                found.append((blob.name, blob.size, blob.etag))
        return
    folders = []
    async for one in container.walk_blobs(name_starts_with=folder, include=["metadata"], delimiter="/"):
        if not period.may_be_in(one.name.split("/")):
            continue
        if one.name.endswith("/"):
            folders.append(one.name)
        elif not _is_folder(one):
            found.append((one.name, one.size, one.etag))
    for name in folders:
        await _walk(container, name, period, found)


def _is_folder(blob: Any) -> bool:
    """Tell the mark of a folder, as accounts with real folders list it, from a blob."""
    return any(name.lower() == "hdi_isfolder" and value == "true" for name, value in (blob.metadata or {}).items())


async def _download(client: Any, container: str, name: str, start: int, length: int) -> bytes:
    stream = await client.get_blob_client(container, name).download_blob(offset=start, length=length)
    found: bytes = await stream.readall()
    return found


@contextmanager
def _named_errors(shown: str) -> Iterator[None]:
    """Raise what a store answers as an error that names the URL, and nothing of a request that may hold a secret."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except (AzureError, OSError, ValueError) as error:
        reason = _why(error)
    else:
        return
    raise UsageFormatError(shown, reason)


def _why(error: Exception) -> str:
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError

    status = getattr(error, "status_code", None)
    code = getattr(error, "error_code", None)
    # An answer that broke off has the status of one that did not.
    if status is not None and status >= 400:
        if code == "ContainerNotFound":
            return "no such container"
        what = f"the store answers {status}" + (f" ({code})" if _CODE.fullmatch(str(code or "")) else "")
        return f"{what}; the key, token or identity must be one that may read it" if status in (401, 403) else what
    if isinstance(error, ClientAuthenticationError):
        return (
            "no usable credential; give a key or a SAS token in storage_options or AZURE_STORAGE_* variables, "
            "or log in with an identity that may list and read blobs"
        )
    if isinstance(error, (ServiceRequestError, ServiceResponseError, TimeoutError)):
        return f"the store cannot be reached ({type(error).__name__})"
    return f"cannot be read: {type(error).__name__}"
