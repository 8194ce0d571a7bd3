"""The storage emulator of Azure on this machine, and what it was asked."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

ACCOUNT = "devstoreaccount1"
# The one key of every emulator, which its documentation prints.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_ASKED = re.compile(r'"([A-Z]+) (\S+) HTTP/1\.1" (\d{3})')
_LISTENING = re.compile(r"listens on http://127\.0\.0\.1:(\d+)")


class Asked(NamedTuple):
    """One request: what was listed, or which blob was read."""

    method: str
    container: str
    blob: str
    listed: str | None
    """The prefix of a listing."""
    status: int


class Azurite:
    """An emulator that runs; `client` is the synchronous one of the SDK, for making what is read."""

    def __init__(self, port: int, log: Path) -> None:
        from azure.storage.blob import BlobServiceClient

        self.endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        self.connection = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.endpoint};"
        )
        self.client: Any = BlobServiceClient.from_connection_string(self.connection)
        self._log, self._seen, self._asked = log, 0, 0

    @property
    def options(self) -> dict[str, str]:
        """What opens the account."""
        return {"connection_string": self.connection}

    def fill(self, container: str, blobs: dict[str, bytes], *, append: bool = False) -> None:
        """Make a container with blobs; appended ones come in pieces, as Azure Monitor writes them."""
        made = self.client.create_container(container)
        for name, data in blobs.items():
            blob = made.get_blob_client(name)
            if not append:
                blob.upload_blob(data)
                continue
            blob.create_append_blob()
            for line in data.splitlines(keepends=True):
                blob.append_block(line)

    def asked(self) -> list[Asked]:
        """Return what was asked since the last time."""
        # A request of its own ends the log so far: whatever was answered before stands before it.
        self._asked += 1
        mark = f"nothing-{self._asked}"
        self.client.get_container_client(mark).exists()
        for _ in range(200):
            text = self._log.read_text("utf-8")[self._seen :]
            if f"/{mark}?" in text:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the emulator does not write its log")
        self._seen += len(text)
        found = [_asked(*one.groups()) for one in _ASKED.finditer(text)]
        return [one for one in found if one.container != mark]


def _asked(method: str, url: str, status: str) -> Asked:
    parts = urlsplit(url)
    _, _, container, *blob = unquote(parts.path).split("/", 3)
    query = parse_qs(parts.query)
    listed = query.get("prefix", [""])[0] if query.get("comp") == ["list"] else None
    return Asked(method, container, "".join(blob), listed, int(status))


@contextmanager
def running(folder: Path) -> Iterator[Azurite]:
    """Run an emulator on a free port of loopback that keeps its data in a folder."""
    log = folder / "log.txt"
    command = ["azurite-blob", "--blobHost", "127.0.0.1", "--blobPort", "0", "--location", str(folder / "data")]
    with log.open("wb") as output:
        # Newer SDKs speak versions of the API that it does not know, and is told to answer.
        process = subprocess.Popen(
            [*command, "--disableTelemetry", "--skipApiVersionCheck"], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        for _ in range(600):
            if found := _LISTENING.search(log.read_text("utf-8")):
                break
            if process.poll() is not None:
                raise AssertionError(f"the emulator ended: {log.read_text('utf-8')[-500:]}")
            time.sleep(0.1)
        else:
            raise AssertionError("the emulator does not start")
        azurite = Azurite(int(found[1]), log)
        try:
            yield azurite
        finally:
            azurite.client.close()
    finally:
        process.terminate()
        process.wait(timeout=30)
