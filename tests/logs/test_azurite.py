"""Logs in a storage account, against the real emulator: the same numbers, few requests, errors without secrets."""

from __future__ import annotations

import gzip
import io
import json
import multiprocessing
import pickle
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from azurite import ACCOUNT, KEY, Azurite, running
from click.testing import CliRunner
from log_rows import calls_of, check_counts, lines_of, status_row, usage_row

from aoai_cost import UsageFormatError, cost_report, read_usage
from aoai_cost.cli import main
from aoai_cost.logs import sum_usage
from aoai_cost.sources.files import SECTION_BYTES, LogFile, find_files
from aoai_cost.sources.period import ALWAYS
from aoai_cost.sources.remote import BLOCK_BYTES

pytestmark = pytest.mark.azurite

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "logs"
ACCOUNTS = "resourceId=/SUBSCRIPTIONS/0/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS"


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running(tmp_path_factory.mktemp("azurite")) as started:
        yield started


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No account of this machine's environment plays a part."""
    for name in ("CONNECTION_STRING", "ACCOUNT_NAME", "ACCOUNT_KEY", "SAS_TOKEN", "CLIENT_ID", "ANON"):
        monkeypatch.delenv(f"AZURE_STORAGE_{name}", raising=False)


def hour_blob(hour: datetime, account: str = "ONE") -> str:
    return f"{ACCOUNTS}/{account}/y={hour:%Y}/m={hour:%m}/d={hour:%d}/h={hour:%H}/m=00/PT1H.json"


def call_at(when: datetime, name: str) -> dict[str, Any]:
    return usage_row(name, EnqueueTime=f"{when:%Y-%m-%dT%H:%M:%S.%f}")


def two_days() -> dict[str, bytes]:
    """A call in the middle of each hour of October 14 and 15."""
    hours = [datetime(2026, 10, 14, tzinfo=UTC) + timedelta(hours=i) for i in range(48)]
    return {hour_blob(hour): lines_of([call_at(hour + timedelta(minutes=30), f"{hour:%d-%H}")]) for hour in hours}


def opened(asked: list[Any]) -> list[str]:
    return [one.blob for one in asked if one.method == "GET" and one.listed is None]


def test_a_report_is_the_one_of_the_same_files_here(azurite: Azurite, tmp_path: Path) -> None:
    """The containers of the example log, appended row by row, one container a category."""
    containers = sorted(folder.name for folder in EXAMPLES.iterdir())
    for name in containers:
        folder = EXAMPLES / name
        files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.json")}
        azurite.fill(name, files, append=True)
    urls = [f"abfs://{name}" for name in containers]
    here, there = read_usage(EXAMPLES), read_usage(*urls, storage_options=azurite.options)
    assert calls_of(here) == calls_of(there)
    for name in ("requests", "joined", "duplicates", "ignored", "rejected"):
        assert getattr(here.counts.total, name) == getattr(there.counts.total, name)
    check_counts(there)
    deployments = ROOT / "examples" / "deployments.toml"
    report = cost_report(urls, deployments=deployments, storage_options=azurite.options)
    assert report.total == cost_report(EXAMPLES, deployments=deployments).total > 0


def test_what_is_packed_or_a_table_is_read_as_here(azurite: Azurite, tmp_path: Path) -> None:
    rows = [usage_row(f"{i}", i) for i in range(200)]
    parquet = io.BytesIO()
    pd.DataFrame([{**row, "properties": json.dumps(row["properties"])} for row in rows]).to_parquet(parquet)
    files = {"rows.json": lines_of(rows), "rows.json.gz": gzip.compress(lines_of(rows)), "p": parquet.getvalue()}
    azurite.fill("packed", files)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        there = read_usage(f"az://packed/{name}", storage_options=azurite.options, strict=True)
        assert calls_of(there) == calls_of(read_usage(tmp_path / name))
        assert len(there.frame) == 200
    assert read_usage("abfss://packed", storage_options=azurite.options).counts.total.duplicates == 400


def test_only_the_hours_asked_for_are_listed_and_read(azurite: Azurite) -> None:
    azurite.fill("hours", two_days(), append=True)
    azurite.asked()
    since, until = datetime(2026, 10, 14, 22, tzinfo=UTC), datetime(2026, 10, 15, 1, tzinfo=UTC)
    log = read_usage("abfs://hours", since=since, until=until, storage_options=azurite.options)
    asked = azurite.asked()
    assert log.frame["request_id"].tolist() == ["14-22", "14-23", "15-00"]
    # The calls are in three hours, and one more is read on both sides.
    wanted = [since + timedelta(hours=i) for i in range(-1, 4)]
    assert sorted(opened(asked)) == [hour_blob(hour) for hour in wanted]
    listed_hours = {one.listed for one in asked if one.listed and "/h=" in one.listed}
    assert listed_hours == {hour_blob(hour).removesuffix("m=00/PT1H.json") for hour in wanted}
    assert {one.container for one in asked} == {"hours"}
    assert (log.counts.total.rows, log.counts.total.ignored) == (5, 2)
    check_counts(log)


def test_whole_days_are_listed_at_once_and_others_not_at_all(azurite: Azurite) -> None:
    blobs = two_days()
    blobs |= {hour_blob(datetime(year, 10, 14, 5, tzinfo=UTC)): b"not a log\n" for year in (2025, 2027)}
    blobs |= {hour_blob(datetime(2026, 9, 14, 5, tzinfo=UTC)): b"not a log\n"}
    azurite.fill("days", blobs)
    azurite.asked()
    options = azurite.options
    log = read_usage("abfs://days", since=date(2026, 10, 14), until=date(2026, 10, 16), storage_options=options)
    asked = azurite.asked()
    assert len(log.frame) == 48
    assert sorted(opened(asked)) == sorted(two_days())
    days = sorted(one.listed.removeprefix(f"{ACCOUNTS}/ONE/") for one in asked if one.listed and "/d=" in one.listed)
    assert days == ["y=2026/m=10/d=14/", "y=2026/m=10/d=15/"]
    assert not [one for one in asked if one.listed and ("y=2025" in one.listed or "m=09" in one.listed)]
    with pytest.raises(UsageFormatError, match="in the hours that since and until ask for"):
        read_usage("abfs://days", since=date(2026, 11, 1), until=date(2026, 12, 1), storage_options=options)
    late = f"abfs://days/{hour_blob(datetime(2025, 10, 14, 5, tzinfo=UTC))}"
    with pytest.raises(UsageFormatError, match="in the hours that since and until ask for"):
        read_usage(late, since=date(2026, 11, 1), storage_options=options)


def test_without_a_period_a_container_is_one_listing(azurite: Azurite) -> None:
    azurite.fill("all", two_days())
    azurite.asked()
    log = read_usage("abfs://all", storage_options=azurite.options)
    asked = azurite.asked()
    assert len(log.frame) == 48
    assert len(opened(asked)) == 48
    assert [one.listed for one in asked if one.listed is not None] == [""]


def test_other_accounts_with_names_that_begin_alike_are_not_read(azurite: Azurite) -> None:
    hour = datetime(2026, 10, 14, 5, tzinfo=UTC)
    rows = {account: lines_of([call_at(hour, account)]) for account in ("ONE", "ONE2")}
    azurite.fill("alike", {hour_blob(hour, account): data for account, data in rows.items()})
    for end in ("", "/"):
        log = read_usage(f"abfs://alike/{ACCOUNTS}/ONE{end}", storage_options=azurite.options)
        assert log.frame["request_id"].tolist() == ["ONE"]


def test_odd_names_are_read_and_hidden_ones_are_not(azurite: Azurite) -> None:
    names = ["a b.json", "50%.json", "a%20b", "#1?x=y.json", "a+b;c", "ümläut/日本", "a?versionid=b", "c//d", "it's"]
    azurite.fill("odd", {f"in/{name}": lines_of([usage_row(name)]) for name in names})
    for hidden in (".part", ".tmp/part"):
        azurite.client.get_blob_client("odd", f"in/{hidden}").upload_blob(lines_of([usage_row("hidden")]))
    log = read_usage("abfs://odd/in", storage_options=azurite.options)
    assert sorted(log.frame["request_id"]) == sorted(names)
    for name in names:
        one = read_usage(f"abfs://odd/in/{name}", storage_options=azurite.options)
        assert one.frame["request_id"].tolist() == [name]
        assert one.counts.files[0].source_file == f"abfs://odd/in/{name}"


def test_a_blob_that_two_urls_name_is_one_file(azurite: Azurite) -> None:
    azurite.fill("twice", {"a/b.json": lines_of([usage_row("a")])})
    log = read_usage("abfs://twice", "az://twice/a", "abfss://twice/a/b.json", storage_options=azurite.options)
    assert len(log.counts.files) == 1
    assert log.counts.total.duplicates == 0


def test_marks_of_folders_and_empty_blobs_are_no_rows(azurite: Azurite) -> None:
    azurite.fill("marks", {"a/b.json": lines_of([usage_row("a")]), "a/empty.json": b""})
    azurite.client.get_blob_client("marks", "a").upload_blob(b"", metadata={"hdi_isfolder": "true"})
    for url in ("abfs://marks", "abfs://marks/a"):
        log = read_usage(url, storage_options=azurite.options)
        assert [one.source_file for one in log.counts.files] == ["abfs://marks/a/b.json", "abfs://marks/a/empty.json"]


def test_broken_rows_are_listed_with_their_url_and_raise_when_strict(azurite: Azurite) -> None:
    azurite.fill("broken", {"log.json": lines_of([usage_row("a")]) + b'{"cut off\n' + lines_of([usage_row("b")])})
    log = read_usage("abfs://broken", storage_options=azurite.options)
    assert log.rejected[["source_file", "line"]].values.tolist() == [["abfs://broken/log.json", 2]]
    with pytest.raises(UsageFormatError, match="line 2") as caught:
        read_usage("abfs://broken", storage_options=azurite.options, strict=True)
    assert caught.value.source == "abfs://broken/log.json"


def test_a_blob_that_grows_is_read_as_long_as_it_was(azurite: Azurite) -> None:
    azurite.fill("growing", {"log.json": lines_of([usage_row("a"), status_row("a")])}, append=True)
    file = one_file("abfs://growing", azurite)
    blob = azurite.client.get_blob_client("growing", "log.json")
    blob.append_block(lines_of([usage_row("b")]))
    with file.open() as opened_file:
        assert opened_file.read() == lines_of([usage_row("a"), status_row("a")])
    assert len(read_usage("abfs://growing", storage_options=azurite.options).frame) == 2


def one_file(url: str, azurite: Azurite) -> LogFile:
    (found,) = find_files((url,), ALWAYS, azurite.options)
    return found


def test_a_large_blob_is_read_in_few_requests_and_bounded_memory(azurite: Azurite) -> None:
    row = json.dumps(usage_row("number-xxxxxxxx")).encode() + b"\n"
    count = (60 << 20) // len(row)
    data = b"".join(row.replace(b"xxxxxxxx", b"%08d" % i) for i in range(count))
    azurite.fill("large", {"log.json": data})
    azurite.asked()
    blocks = -(-len(data) // BLOCK_BYTES)
    sums = sum_usage("abfs://large", storage_options=azurite.options)
    assert sums.counts.total.requests == count
    assert len(opened(azurite.asked())) == blocks <= 8
    file = one_file("abfs://large", azurite)
    assert file.size() == len(data)
    tracemalloc.start()
    try:
        with file.open() as opened_file:
            length = sum(map(len, iter(lambda: opened_file.read(1 << 20), b"")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length == len(data)
    assert peak < 5 * BLOCK_BYTES < len(data)


def test_a_large_blob_is_read_by_several_processes_and_not_again(azurite: Azurite, tmp_path: Path) -> None:
    """Each opens it anew and reads its sections forwards, so that little is asked for twice."""
    rows = [json.dumps(usage_row(f"number-{i:08d}")).encode() + b"\n" for i in range(200_000)]
    data = b"".join([*rows[:100_000], *rows[:5], b"nothing\n", *rows[100_000:]])
    assert len(data) > 3 * SECTION_BYTES
    azurite.fill("sections", {"log.json": data})
    whole = sum_usage("abfs://sections", storage_options=azurite.options)
    azurite.asked()
    blocks = -(-len(data) // BLOCK_BYTES)
    sections = -(-len(data) // SECTION_BYTES)
    options = {"storage_options": azurite.options, "work": tmp_path}
    apart = sum_usage("abfs://sections", processes=2, **options)
    # The head tells that it can be cut; a section begins and ends within blocks of its neighbours.
    assert blocks <= len(opened(azurite.asked())) <= blocks + 2 * sections + 1
    again = sum_usage("abfs://sections", **options)
    assert opened(azurite.asked()) == ["log.json"]  # its head, which tells how it was cut
    for found in (apart, again):
        assert (found.groups, found.counts) == (whole.groups, whole.counts)
        assert found.rejected["line"].tolist() == [100_006]
    azurite.client.get_blob_client("sections", "log.json").upload_blob(data + rows[7], overwrite=True)
    assert sum_usage("abfs://sections", **options).counts.total.duplicates == 6


def test_an_open_blob_can_seek(azurite: Azurite) -> None:
    data = bytes(range(256)) * 10
    azurite.fill("seeking", {"a": data})
    azurite.asked()
    with one_file("abfs://seeking", azurite).open() as file:
        assert file.seekable()
        assert file.seek(1_000) == 1_000
        assert file.read(5) == data[1_000:1_005]
        assert file.seek(-3, io.SEEK_END) == len(data) - 3
        assert file.read() == data[-3:]
        assert file.read() == b""
        file.seek(10)
        assert file.seek(5, io.SEEK_CUR) == 15
        assert file.read(1) == data[15:16]
        with pytest.raises(ValueError, match="before the beginning"):
            file.seek(-1)
        file.seek(len(data) + 5)
        assert file.read() == b""
    with pytest.raises(ValueError, match="reading"):
        one_file("abfs://seeking", azurite).path.open("wb")


def read_in_another(file: LogFile) -> bytes:
    with file.open() as opened_file:
        return opened_file.read()


@pytest.mark.parametrize("method", ["fork", "spawn"])
# Newer interpreters warn of forking beside threads, which the connection has: that is what is tried here.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_other_processes_open_what_was_found_here(azurite: Azurite, method: str) -> None:
    name = f"processes-{method}"
    azurite.fill(name, {"a": b"1", "b": b"22"})
    files = find_files((f"abfs://{name}",), ALWAYS, azurite.options)
    assert [read_in_another(file) for file in files] == [b"1", b"22"]
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.map(read_in_another, files) == [b"1", b"22"]
    again = pickle.loads(pickle.dumps(files[1]))
    assert (again.shown, again.size(), read_in_another(again)) == (f"abfs://{name}/b", 2, b"22")
    assert KEY not in repr(files)


def test_the_environment_opens_the_account_for_the_library_and_the_command(
    azurite: Azurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    azurite.fill("environment", two_days())
    with pytest.raises(UsageFormatError, match="no connection can be made"):
        read_usage("abfs://environment")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection.replace(KEY, "d3Jvbmc="))
    with pytest.raises(UsageFormatError, match="403"):
        read_usage("abfs://environment")
    # Who mends the environment is not answered from the connection of before.
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection)
    assert len(read_usage("abfs://environment").frame) == 48
    words = ["report", "abfs://environment", "--since", "2026-10-14T05:00", "--until", "2026-10-15", "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 3, result.output  # no deployments, so nothing has a price
    assert json.loads(result.stdout)["reading"]["total"]["requests"] == 19


def test_a_token_opens_the_account_and_is_never_shown(azurite: Azurite) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    azurite.fill("token", {"log.json": lines_of([usage_row("a")]) + b"broken\n"})
    expiry = datetime.now(UTC) + timedelta(hours=1)
    allowed = ContainerSasPermissions(read=True, list=True)
    token = generate_container_sas(ACCOUNT, "token", account_key=KEY, permission=allowed, expiry=expiry)
    options = {"connection_string": f"BlobEndpoint={azurite.endpoint};SharedAccessSignature={token}"}
    log = read_usage("abfs://token", storage_options=options)
    assert len(log.frame) == 1
    with pytest.raises(UsageFormatError) as caught:
        read_usage("abfs://hours", storage_options=options)
    for text in (str(caught.value), repr(find_files(("abfs://token",), ALWAYS, options)), log.rejected.to_csv()):
        assert "sig" not in text.replace("signature", "")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("abfs://no-such-container", "no such container", id="no container"),
        pytest.param("abfs://no-such-container/a.json", "no such container", id="a blob of no container"),
        pytest.param("abfs://there/no-such-blob", "no such blob or folder", id="no blob"),
        pytest.param("abfs://there/no-such-folder/", "no such blob or folder", id="no folder"),
        pytest.param("abfs://nothing-in-it", "nothing in it", id="an empty container"),
        pytest.param(
            "abfs://there@contoso.dfs.core.windows.net", "of another account than the URL", id="another account"
        ),
    ],
)
def test_what_is_not_there_is_an_error_that_names_the_url(azurite: Azurite, url: str, reason: str) -> None:
    for name in ("there", "nothing-in-it"):
        if not (container := azurite.client.get_container_client(name)).exists():
            container.create_container()
    with pytest.raises(UsageFormatError, match=reason) as caught:
        read_usage(url, storage_options=azurite.options)
    assert caught.value.source.startswith(url)


@pytest.mark.parametrize("key", ["d3Jvbmctc2VjcmV0", "no base64: secret"])
def test_a_wrong_key_is_refused_without_being_shown(azurite: Azurite, key: str) -> None:
    options = {"connection_string": azurite.connection.replace(KEY, key)}
    with pytest.raises(UsageFormatError) as caught:
        read_usage("abfs://hours/a", storage_options=options)
    error: BaseException | None = caught.value
    assert "abfs://hours/a" in str(error)
    assert key not in str(error)
    while error is not None:  # what a traceback prints
        assert key not in str(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class Nobody:
    """An identity that nobody has; counts how often it is asked for."""

    asked = 0

    def __init__(self, **options: Any) -> None:
        pass

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        from azure.core.exceptions import ClientAuthenticationError

        type(self).asked += 1
        raise ClientAuthenticationError(message="no secret was found")

    async def close(self) -> None:
        pass


def test_without_a_key_the_identity_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("azure.identity.aio.DefaultAzureCredential", Nobody)
    monkeypatch.setattr(Nobody, "asked", 0)
    for url, options in (
        ("abfs://logs@contoso.dfs.core.windows.net", None),
        ("abfs://logs", {"account_name": "contoso"}),
        ("abfs://logs", {"account_name": "contoso", "credential": Nobody()}),
    ):
        with pytest.raises(UsageFormatError, match="no usable credential") as caught:
            read_usage(url, storage_options=options)
        assert "secret" not in str(caught.value)
    assert Nobody.asked == 3


@pytest.mark.parametrize("name", ["log.json", "log.parquet", "log.json.gz"])
def test_a_store_that_fails_while_reading_is_no_damage_of_the_file(azurite: Azurite, name: str) -> None:
    rows = [usage_row(f"{i}") for i in range(10)]
    parquet = io.BytesIO()
    pd.DataFrame([{**row, "properties": json.dumps(row["properties"])} for row in rows]).to_parquet(parquet)
    data = {"log.json": lines_of(rows), "log.parquet": parquet.getvalue(), "log.json.gz": gzip.compress(lines_of(rows))}
    container = f"failing-{name.replace('.', '-')}"
    azurite.fill(container, {name: data[name]})
    from aoai_cost.sources.files import Section, read_pieces

    file = one_file(f"abfs://{container}", azurite)
    azurite.client.get_blob_client(container, name).delete_blob()
    with pytest.raises(UsageFormatError, match="404") as caught:
        list(read_pieces(file, Section(0, 0, None, file.size()), lambda offset: None))
    assert caught.value.source == f"abfs://{container}/{name}"


def test_a_store_that_cannot_be_reached_is_named() -> None:
    from azure.core.exceptions import IncompleteReadError, ServiceRequestError

    from aoai_cost.sources.remote import _named_errors

    broken_off = IncompleteReadError("secret")
    broken_off.status_code = 206
    for error, reason in (
        (ServiceRequestError("secret"), "cannot be reached"),
        (TimeoutError("secret"), "cannot be reached"),
        (broken_off, "cannot be read: IncompleteReadError"),
    ):
        with pytest.raises(UsageFormatError, match=reason) as caught, _named_errors("abfs://logs/a"):
            raise error
        assert "secret" not in str(caught.value)
        assert caught.value.source == "abfs://logs/a"
