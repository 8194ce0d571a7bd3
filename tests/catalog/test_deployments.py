"""The deployments file: what it accepts, what it refuses and how entries are found."""

from __future__ import annotations

import json
import pickle
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.catalog import SKUS, Deployment, Deployments, read_deployments
from aoai_cost.errors import DeploymentsError

DAY = date(2026, 8, 1)
ARM = "/subscriptions/0000/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/contoso"
CHAT = """
[[deployment]]
resource = "Contoso"
name = "chat-prod"
model = "gpt-4o"
version = "2024-11-20"
sku = "globalstandard"
region = "Sweden Central"
"""


def read(tmp_path: Path, text: str, name: str = "deployments.toml") -> Deployments:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_deployments(path)


def test_an_entry_is_read_as_azure_writes_it(tmp_path: Path) -> None:
    (found,) = read(tmp_path, CHAT)
    assert found == Deployment(
        "contoso", "chat-prod", "gpt-4o", version="2024-11-20", sku="GlobalStandard", region="swedencentral"
    )


def test_all_keys_are_read(tmp_path: Path) -> None:
    text = """
[[deployment]]
resource = "contoso"
name = "ptu"
model = "gpt-4o"
sku = "ProvisionedManaged"
tier = "priority"
ptu_units = 100
fine_tuned = "ft"
active_from = 2026-01-01
active_to = 2026-02-01
"""
    (found,) = read(tmp_path, text)
    assert (found.ptu_units, found.tier, found.fine_tuned) == (100, "priority", "ft")
    assert [found.active_on(date(2026, 1, day)) for day in (1, 31)] == [True, True]
    assert not found.active_on(date(2026, 2, 1))


@pytest.mark.parametrize("sku", SKUS)
def test_every_sku_is_known(tmp_path: Path, sku: str) -> None:
    (found,) = read(tmp_path, f'[[deployment]]\nname = "d"\nmodel = "gpt-4o"\nsku = "{sku}"\n')
    assert (found.sku, found.tier) == (sku, "batch" if sku.endswith("Batch") else "default")


MINIMAL = '[[deployment]]\nname = "d"\nmodel = "gpt-4o"\nsku = "Standard"\n'


@pytest.mark.parametrize(
    ("text", "entry", "reason"),
    [
        pytest.param("deployment = 1", "", "two brackets", id="not a list of tables"),
        pytest.param("[[deployment", "", "is not TOML", id="not TOML"),
        pytest.param("[[deployments]]", "", "unknown key 'deployments'", id="a slip in the table's name"),
        pytest.param(MINIMAL + 'skuu = "x"', "deployment 1 ('d')", "unknown key 'skuu'", id="an unknown key"),
        pytest.param(
            '[[deployment]]\nname = "d"\nsku = "Standard"', "deployment 1 ('d')", "has no model", id="no model"
        ),
        pytest.param('[[deployment]]\nname = "d"\nmodel = "m"', "deployment 1 ('d')", "has no sku", id="no sku"),
        pytest.param('[[deployment]]\nmodel = "m"\nsku = "Standard"', "deployment 1", "has no name", id="no name"),
        pytest.param(MINIMAL.replace("Standard", "Cheap"), "deployment 1 ('d')", "sku 'Cheap'", id="an unknown sku"),
        pytest.param(MINIMAL + 'tier = "fast"', "deployment 1 ('d')", "tier 'fast'", id="an unknown tier"),
        pytest.param(MINIMAL + "version = 613", "deployment 1 ('d')", "must be a text", id="a version without quotes"),
        pytest.param(
            MINIMAL + 'active_from = "2026-01-01"', "deployment 1 ('d')", "must be a day", id="a day in quotes"
        ),
        pytest.param(
            MINIMAL + "active_from = 2026-01-01T00:00:00", "deployment 1 ('d')", "a day", id="a day with a time"
        ),
        pytest.param(
            MINIMAL + "active_from = 2026-01-02\nactive_to = 2026-01-02",
            "deployment 1 ('d')",
            "after",
            id="no days at all",
        ),
        pytest.param(MINIMAL + "ptu_units = 10", "deployment 1 ('d')", "not a provisioned", id="PTU of a standard sku"),
        pytest.param(
            MINIMAL.replace("Standard", "ProvisionedManaged") + "ptu_units = true",
            "deployment 1 ('d')",
            "whole number",
            id="PTU that is no number",
        ),
        pytest.param(MINIMAL + MINIMAL, "deployment 2 ('d')", "shares days", id="two entries of one name"),
        pytest.param(
            MINIMAL + "active_to = 2026-02-02\n" + MINIMAL + "active_from = 2026-02-01",
            "deployment 2 ('d')",
            "shares days",
            id="two entries that share one day",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, entry: str, reason: str) -> None:
    with pytest.raises(DeploymentsError) as caught:
        read(tmp_path, text)
    assert caught.value.entry == entry
    assert reason in caught.value.reason
    assert caught.value.path.endswith("deployments.toml")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeploymentsError, match="cannot be read"):
        read_deployments(tmp_path / "absent.toml")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeploymentsError, match="UTF-8"):
        read_deployments(path)


@pytest.mark.parametrize("text", ["x = " + "9" * 5_000, "x = " + "[" * 3_000], ids=["a huge number", "deep brackets"])
def test_toml_that_trips_its_reader_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(DeploymentsError, match="is not TOML that can be read"):
        read_deployments(path)
    with pytest.raises(DeploymentsError, match="cannot be read"):
        read_deployments("a\0b")


@pytest.mark.parametrize("first", ["[deployment]", "[ deployment ]", "[[deployment]]"])
def test_a_toml_file_may_begin_with_a_table(tmp_path: Path, first: str) -> None:
    path = tmp_path / "d.toml"
    path.write_text(f'{first}\nname = "chat"\nmodel = "gpt-4o"\nsku = "Standard"\n', "utf-8")
    if first == "[[deployment]]":
        assert len(read_deployments(path)) == 1
    else:
        with pytest.raises(DeploymentsError, match="two brackets"):
            read_deployments(path)


@pytest.mark.parametrize("key", ["name", "model", "sku"])
def test_a_blank_is_no_name(tmp_path: Path, key: str) -> None:
    path = tmp_path / "d.toml"
    facts = {"name": "chat", "model": "gpt-4o", "sku": "Standard"} | {key: "  "}
    path.write_text("[[deployment]]\n" + "".join(f'{name} = "{value}"\n' for name, value in facts.items()), "utf-8")
    with pytest.raises(DeploymentsError, match=f"has no {key}"):
        read_deployments(path)


def test_huge_names_are_not_echoed(tmp_path: Path) -> None:
    with pytest.raises(DeploymentsError) as caught:
        read(tmp_path, MINIMAL + f'tier = "{"secret " * 100_000}"')
    assert len(str(caught.value)) < 1000


def test_a_deployment_needs_a_sku() -> None:
    with pytest.raises(DeploymentsError, match="has no sku"):
        Deployment("contoso", "chat", "gpt-4o")


AZ = [
    {
        "id": f"{ARM}/deployments/chat",
        "name": "chat",
        "properties": {"model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}},
        "sku": {"capacity": 50, "name": "GlobalStandard"},
    },
    {
        "id": f"{ARM}/deployments/ptu",
        "name": "ptu",
        "properties": {"model": {"name": "gpt-4.1", "version": "2025-04-14"}},
        "sku": {"capacity": 100, "name": "DataZoneProvisionedManaged"},
    },
    {
        "id": f"{ARM}/deployments/tuned",
        "name": "tuned",
        "properties": {"model": {"name": "gpt-4o-2024-08-06.ft-00ff", "version": "1"}},
        "sku": {"capacity": 1, "name": "Standard"},
    },
]


def test_the_list_of_the_az_command_is_read(tmp_path: Path) -> None:
    chat, ptu, tuned = read(tmp_path, json.dumps(AZ), "deployments.json")
    assert chat == Deployment(ARM.lower(), "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    assert (ptu.sku, ptu.ptu_units) == ("DataZoneProvisionedManaged", 100)
    assert (tuned.model, tuned.version, tuned.fine_tuned) == ("gpt-4o", "2024-08-06", "ft")


def test_the_az_command_may_write_a_sku_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    model = {"name": "gpt-4o", "version": "2024-11-20"}
    sku = {"name": "globalprovisionedmanaged", "capacity": 15}
    path.write_text(json.dumps([{"name": "chat", "sku": sku, "properties": {"model": model}}]), "utf-8")
    (found,) = read_deployments(path)
    assert (found.sku, found.ptu_units) == ("GlobalProvisionedManaged", 15)


@pytest.mark.parametrize("text", ["{}", '{"value": 1}', "[1]", '[{"name": 1}]', "[{", '[{"name": "x", "sku": "y"}]'])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DeploymentsError):
        read(tmp_path, text)


def one(resource: str, name: str = "chat", **more: object) -> Deployment:
    return Deployment(resource, name, "gpt-4o", sku="Standard", **more)  # type: ignore[arg-type]


def test_entries_are_found_by_resource_name_and_day() -> None:
    old, new = one("a", active_to=DAY), one("a", active_from=DAY)
    found = Deployments([new, old, one("b")])
    assert found.find("A", "CHAT", date(2026, 7, 31)) is old
    assert found.find("a", "chat", DAY) is new
    assert found.why("a", "chat", DAY) == ""


@pytest.mark.parametrize(
    ("entries", "resource"),
    [
        pytest.param([one("contoso"), one("other")], ARM, id="the log has the ARM id, the file the account"),
        pytest.param([one(ARM), one("other")], "CONTOSO", id="the file has the ARM id, the log the account"),
        pytest.param([one(ARM), one("other")], ARM.upper() + "/", id="ARM ids in another case"),
        pytest.param([one("contoso")], None, id="the log names no resource and the name is unique"),
        pytest.param([one("contoso")], "", id="the log has an empty resource"),
    ],
)
def test_a_resource_may_be_written_in_two_ways(entries: list[Deployment], resource: str | None) -> None:
    assert Deployments(entries).find(resource, "chat", DAY) is entries[0]


@pytest.mark.parametrize(
    ("entries", "resource", "name", "reason"),
    [
        pytest.param([one("a"), one("b")], None, "chat", "ambiguous: 2 resources", id="a bare name of two resources"),
        pytest.param(
            [one(ARM), one(ARM.replace("0000", "1111"))],
            "contoso",
            "chat",
            "ambiguous",
            id="an account in two subscriptions",
        ),
        pytest.param([one(ARM)], ARM.replace("0000", "1111"), "chat", "not of resource", id="another subscription"),
        pytest.param([one("a")], "b", "chat", "not of resource 'b'", id="another resource"),
        pytest.param([one("a")], "a", "talk", "not in the deployments file", id="another name"),
        pytest.param([one("a")], "a", "Chatt", "did you mean 'chat'?", id="a slip of the key"),
        pytest.param([], "a", "chat", "no deployments file was given", id="no file at all"),
        pytest.param([one("a")], "a", None, "no deployment is named", id="no name"),
        pytest.param([one("a", active_from=date(2027, 1, 1))], "a", "chat", "not active on 2026-08-01", id="not yet"),
    ],
)
def test_nothing_is_guessed_and_the_reason_is_told(
    entries: list[Deployment], resource: str | None, name: str | None, reason: str
) -> None:
    found = Deployments(entries)
    assert found.find(resource, name, DAY) is None
    assert reason in found.why(resource, name, DAY)


@given(st.none() | st.text(max_size=20), st.none() | st.text(max_size=20))
def test_a_lookup_answers_or_tells_why(resource: str | None, name: str | None) -> None:
    found = Deployments([one("a"), one(ARM), one("b", "talk")])
    assert (found.find(resource, name, DAY) is None) == bool(found.why(resource, name, DAY))
