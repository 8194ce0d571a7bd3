"""URLs of a storage account, without one: what they name, what is shown of them, and what is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aoai_cost import MissingExtraError, UsageFormatError, cost_report, read_usage
from aoai_cost.sources.remote import _place_of, is_url

SAS = "sv=2024-11-04&ss=b&sig=c2VjcmV0"


@pytest.mark.parametrize(
    ("url", "container", "path", "options", "shown"),
    [
        pytest.param("abfs://logs", "logs", "", {}, "abfs://logs/", id="a container"),
        pytest.param("az://logs/a/b.json", "logs", "a/b.json", {}, "az://logs/a/b.json", id="a blob"),
        pytest.param("ABFSS://logs/a/", "logs", "a/", {}, "abfss://logs/a/", id="a folder"),
        pytest.param("abfs://$root/a", "$root", "a", {}, "abfs://$root/a", id="the root container"),
        pytest.param("abfs://logs/a?b#c%20d", "logs", "a?b#c%20d", {}, "abfs://logs/a?b#c%20d", id="odd letters"),
        pytest.param(
            "abfs://logs@contoso.dfs.core.windows.net/a@b:c",
            "logs",
            "a@b:c",
            {"account_name": "contoso"},
            "abfs://logs@contoso.dfs.core.windows.net/a@b:c",
            id="an account",
        ),
        pytest.param(
            "abfs://logs@contoso.dfs.core.chinacloudapi.cn/a",
            "logs",
            "a",
            {"account_name": "contoso", "account_host": "contoso.blob.core.chinacloudapi.cn"},
            "abfs://logs@contoso.dfs.core.chinacloudapi.cn/a",
            id="another cloud",
        ),
        pytest.param(
            "https://contoso.z12.blob.storage.azure.net/logs/a",
            "logs",
            "a",
            {"account_name": "contoso", "account_host": "contoso.z12.blob.storage.azure.net"},
            "https://contoso.z12.blob.storage.azure.net/logs/a",
            id="a zone",
        ),
        pytest.param(
            f"https://contoso.blob.core.windows.net/logs/resourceId=/a%20b%3F?{SAS}",
            "logs",
            "resourceId=/a b?",
            {"account_name": "contoso", "sas_token": SAS},
            "https://contoso.blob.core.windows.net/logs/resourceId=/a%20b%3F",
            id="a link with a token",
        ),
        pytest.param(
            f"https://contoso.blob.core.windows.net/logs?{SAS}",
            "logs",
            "",
            {"account_name": "contoso", "sas_token": SAS},
            "https://contoso.blob.core.windows.net/logs/",
            id="a container with a token",
        ),
        pytest.param(
            f"abfs://logs@contoso.dfs.core.windows.net/a?b?{SAS}",
            "logs",
            "a?b",
            {"account_name": "contoso", "sas_token": SAS},
            "abfs://logs@contoso.dfs.core.windows.net/a?b",
            id="a token behind a question mark",
        ),
    ],
)
def test_a_url_names_a_container_and_a_path(
    url: str, container: str, path: str, options: dict[str, str], shown: str
) -> None:
    assert is_url(url)
    place = _place_of(url)
    assert (place.container, place.path, place.options) == (container, path, options)
    assert place.shown(place.path) == shown
    again = _place_of(shown)
    assert (again.container, again.path, again.account) == (container, path, place.account)
    assert "secret" not in repr(place)
    assert "c2Vj" not in repr(place)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("abfs://", id="nothing"),
        pytest.param("abfs:///c2VjcmV0", id="no container"),
        pytest.param("abfs://c2VjcmV0/a", id="no name of a container"),
        pytest.param("abfs://logs:c2VjcmV0@contoso.dfs.core.windows.net/a", id="a key for a name"),
        pytest.param("abfs://logs@contoso/a", id="no host"),
        pytest.param("https://contoso.blob.example.com/logs/a?sig=c2VjcmV0", id="a host of somebody else"),
        pytest.param("https://contoso.blob.core.windows.net.example.com/logs/a", id="a host that begins well"),
        pytest.param("https://me:c2VjcmV0@contoso.blob.core.windows.net/logs/a", id="a password"),
        pytest.param("https://contoso.blob.core.windows.net/?sig=c2VjcmV0", id="no container in a link"),
        pytest.param("https://contoso.blob.core.windows.net/logs/a?key=c2VjcmV0", id="a query that is no token"),
    ],
)
def test_a_url_that_names_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageFormatError, match="not the URL of a container") as caught:
        read_usage(url)
    assert "c2Vj" not in str(caught.value)
    assert "contoso" not in caught.value.source


@pytest.mark.parametrize("path", ["logs/a.json", "/abfs/a", "C://logs", "abfs:/logs", "s3://logs/a", "://", ""])
def test_other_paths_are_no_urls(path: str) -> None:
    assert not is_url(path)


def test_without_adlfs_a_url_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "adlfs", None)
    for read in (read_usage, cost_report):
        with pytest.raises(MissingExtraError, match=r'pip install "aoai-cost\[azure\]"') as caught:
            read("abfs://logs/a")
        assert caught.value.extra == "azure"
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UsageFormatError, match="no path is a URL"):
        read_usage(tmp_path, storage_options={"account_name": "contoso"})
