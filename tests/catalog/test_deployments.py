"""The deployments file: what it accepts, what it refuses and how entries are found."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.catalog import (
    FINE_TUNED,
    SKUS,
    TIERS,
    Alias,
    Deployment,
    Deployments,
    Examination,
    deployments_toml,
    examine_deployments,
    read_deployments,
    tier_of,
)
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
        pytest.param("deployment = 1", "line 1", "two brackets", id="not a list of tables"),
        pytest.param("[[deployment", "", "is not TOML", id="not TOML"),
        pytest.param("[[deployments]]", "line 1", "unknown key 'deployments'", id="a slip in the table's name"),
        pytest.param("\ndeployment = [1]", "line 2, deployment 1", "is not a table", id="a number as a deployment"),
        pytest.param(MINIMAL + 'skuu = "x"', "line 5, deployment 1 ('d')", "unknown key 'skuu'", id="an unknown key"),
        pytest.param(
            '[[deployment]]\nname = "d"\nsku = "Standard"', "line 1, deployment 1 ('d')", "has no model", id="no model"
        ),
        pytest.param(
            '[[deployment]]\nname = "d"\nmodel = "m"', "line 1, deployment 1 ('d')", "has no sku", id="no sku"
        ),
        pytest.param(
            '[[deployment]]\nmodel = "m"\nsku = "Standard"', "line 1, deployment 1", "has no name", id="no name"
        ),
        pytest.param(
            MINIMAL.replace("Standard", "Cheap"), "line 4, deployment 1 ('d')", "sku 'Cheap'", id="an unknown sku"
        ),
        pytest.param(MINIMAL + 'tier = "fast"', "line 5, deployment 1 ('d')", "tier 'fast'", id="an unknown tier"),
        pytest.param(
            MINIMAL + "version = 613", "line 5, deployment 1 ('d')", "must be a text", id="a version without quotes"
        ),
        pytest.param(
            MINIMAL + 'active_from = "2026-01-01"', "line 5, deployment 1 ('d')", "must be a day", id="a day in quotes"
        ),
        pytest.param(
            MINIMAL + "active_from = 2026-01-01T00:00:00", "line 5, deployment 1 ('d')", "a day", id="a day with a time"
        ),
        pytest.param(
            MINIMAL + "active_from = 2026-01-02\nactive_to = 2026-01-02",
            "line 6, deployment 1 ('d')",
            "after",
            id="no days at all",
        ),
        pytest.param(
            MINIMAL + "ptu_units = 10", "line 5, deployment 1 ('d')", "not a provisioned", id="PTU of a standard sku"
        ),
        pytest.param(
            MINIMAL.replace("Standard", "ProvisionedManaged") + "ptu_units = true",
            "line 5, deployment 1 ('d')",
            "whole number",
            id="PTU that is no number",
        ),
        pytest.param(MINIMAL + MINIMAL, "line 5, deployment 2 ('d')", "shares days", id="two entries of one name"),
        pytest.param(
            MINIMAL + "active_to = 2026-02-02\n" + MINIMAL + "active_from = 2026-02-01",
            "line 6, deployment 2 ('d')",
            "shares days",
            id="two entries that share one day",
        ),
        pytest.param(MINIMAL + "aliases = 1", "line 5, deployment 1 ('d')", "must be a list", id="no list of aliases"),
        pytest.param(
            MINIMAL + "aliases = [{ active_to = 2026-01-01 }]",
            "line 5, deployment 1 ('d')",
            "alias 1 has no name",
            id="an alias without a name",
        ),
        pytest.param(
            MINIMAL + 'aliases = [{ name = "e" }, { name = 5 }]',
            "line 5, deployment 1 ('d')",
            "alias 2 name must be a text",
            id="an alias with a number as its name",
        ),
        pytest.param(
            MINIMAL + '[[deployment.aliases]]\nname = "e"\nmodel = "m"',
            "line 5, deployment 1 ('d')",
            "alias 1 has the unknown key 'model'; the keys are name, resource",
            id="an alias with a model",
        ),
        pytest.param(
            MINIMAL + 'aliases = [{ name = "e", active_from = 2026-01-02, active_to = 2026-01-01 }]',
            "line 5, deployment 1 ('d')",
            "alias 1 active_to 2026-01-01 must come after",
            id="an alias without days",
        ),
        pytest.param(
            MINIMAL + 'active_from = 2026-05-01\naliases = [{ name = "e", active_to = 2026-05-01 }]',
            "line 6, deployment 1 ('d')",
            "alias 1 shares no day with the deployment",
            id="an alias outside the life of its deployment",
        ),
        pytest.param(
            MINIMAL + 'aliases = [{ name = "D" }]',
            "line 1, deployment 1 ('d')",
            "alias 'D' shares days",
            id="an alias that is the name itself",
        ),
        pytest.param(
            MINIMAL + MINIMAL.replace('"d"', '"e"') + 'aliases = [{ name = "d", active_to = 2026-01-01 }]',
            "line 5, deployment 2 ('e')",
            "alias 'd' shares days",
            id="an alias that is the name of another deployment on these days",
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


ACCOUNT = {"id": ARM.upper(), "kind": "OpenAI", "location": "SWEDEN Central", "name": "contoso", "sku": {"name": "S0"}}
OTHER = json.loads(json.dumps(AZ).replace("contoso", "fabrikam"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps(AZ), id="one list"),
        pytest.param("\ufeff" + json.dumps(AZ, indent=2), id="with a byte order mark"),
        pytest.param(json.dumps({"value": AZ}), id="a REST answer"),
        pytest.param(json.dumps({"value": AZ[:2], "nextLink": "x"}) + json.dumps({"value": AZ[2:]}), id="two pages"),
        pytest.param(json.dumps([AZ[:1], AZ[1:]]), id="a list of lists"),
        pytest.param(json.dumps([{"value": AZ[:1]}, AZ[1:]]), id="a list of pages and lists"),
        pytest.param(json.dumps(AZ[:1]) + "\n" + json.dumps(AZ[1:]) + "\n", id="one list after another"),
        pytest.param("\n".join(map(json.dumps, AZ)), id="one record a line"),
        pytest.param(json.dumps(AZ).replace("/deployments/", "/Deployments/"), id="ids in another case"),
        pytest.param(json.dumps([AZ, AZ[1]]), id="with a record that stands there twice"),
    ],
)
def test_lists_of_several_runs_are_read_as_one(tmp_path: Path, text: str) -> None:
    assert list(read(tmp_path, text, "d.json")) == list(read(tmp_path, json.dumps(AZ), "e.json"))


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param([[ACCOUNT, *AZ, *OTHER]], id="among the deployments"),
        pytest.param([[*AZ, *OTHER], [ACCOUNT]], id="in a second file"),
        pytest.param([[ACCOUNT], {"value": [*AZ, *OTHER]}], id="in the first file"),
    ],
)
def test_accounts_give_regions_to_their_own_deployments(tmp_path: Path, texts: list[object]) -> None:
    paths = [tmp_path / f"{i}.json" for i in range(len(texts))]
    for path, content in zip(paths, texts, strict=True):
        path.write_text(json.dumps(content), "utf-8")
    found = read_deployments(*paths)
    assert [deployment.region for deployment in found] == ["swedencentral"] * 3 + [None] * 3


def az(**more: object) -> dict[str, object]:
    """A record of the first deployment of AZ, with some parts of its own; a part that is None is left out."""
    record = {**AZ[0], **more}
    return {key: value for key, value in record.items() if value is not None}


def properties(**more: object) -> dict[str, object]:
    return {"model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}, **more}


def examine(*records: object) -> Examination:
    return examine_deployments([("az.json", json.dumps(records))])


def test_the_service_tier_of_a_deployment_is_read() -> None:
    records = [az(name=f"d{i}", properties=properties(serviceTier=tier)) for i, tier in enumerate(("Priority", None))]
    assert [one.tier for one in examine(*records).deployments] == ["priority", "default"]


@pytest.mark.parametrize(
    ("record", "note"),
    [
        pytest.param(
            az(properties=properties(provisioningState="Failed")), "provisioningState is 'Failed'", id="failed"
        ),
        pytest.param(
            az(properties={"model": {"format": "Cohere", "name": "embed-v-4-0", "version": "1"}}),
            "model is of 'Cohere', not of OpenAI",
            id="another maker",
        ),
        pytest.param(
            az(sku={"name": "ProvisionedManaged", "capacity": None}), "no capacity", id="PTU without their number"
        ),
    ],
)
def test_what_is_odd_is_kept_and_told(record: dict[str, object], note: str) -> None:
    found = examine(record)
    assert (len(found.deployments), found.problems) == (1, [])
    assert [one for one in found.notes if note in one and one.startswith("az.json, deployment 1 ('chat'): ")]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        pytest.param(
            az(sku=None, properties=properties(scaleSettings={"scaleType": "Standard"})), "has no sku", id="old"
        ),
        pytest.param(
            az(sku={"name": "GlobalSomething", "capacity": 1}), "sku 'GlobalSomething' is not known", id="sku"
        ),
        pytest.param(az(sku="Standard"), "has no sku", id="a sku that is no object"),
        pytest.param(az(properties=None), "has no model", id="no properties, as `az resource list` prints"),
        pytest.param(az(properties=properties(serviceTier="Turbo")), "tier 'Turbo' is not known", id="an unknown tier"),
        pytest.param(az(name=7), "name must be a text", id="a number as its name"),
        pytest.param(az(sku={"name": "ProvisionedManaged", "capacity": 0}), "at least 1", id="no PTU"),
        pytest.param(az(name="\ud800"), "half of a character", id="half of a character"),
        pytest.param({"type": "Microsoft.CognitiveServices/accounts/projects", "name": "a"}, "neither", id="a project"),
        pytest.param({"type": "Microsoft.CognitiveServices/accounts", "id": ARM}, "without an id or", id="no location"),
        pytest.param("chat", "neither a deployment nor an account", id="a name"),
        pytest.param({}, "neither a deployment nor an account", id="nothing"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_told_and_the_rest_is_read(record: object, reason: str) -> None:
    found = examine(AZ[1], record, AZ[2])
    assert [one.name for one in found.deployments] == ["ptu", "tuned"]
    (problem,) = found.problems
    assert isinstance(problem, DeploymentsError)
    assert problem.path == "az.json"
    assert problem.entry
    assert reason in problem.reason


def test_an_old_api_is_told_by_its_scale_settings() -> None:
    assert "before 2023-05-01" in examine(az(sku=None, properties=properties(scaleSettings={}))).notes[0]


def test_a_last_page_with_a_next_one_is_told() -> None:
    found = examine_deployments([("p.json", json.dumps({"value": AZ, "nextLink": "https://example.invalid"}))])
    assert "nextLink" in found.notes[0]


def test_a_deployment_with_other_facts_is_not_taken_twice() -> None:
    found = examine(AZ[0], az(sku={"name": "Standard", "capacity": 1}))
    assert [one.sku for one in found.deployments] == ["GlobalStandard"]
    assert "shares days" in found.problems[0].reason


def test_the_day_of_creation_is_told_and_does_not_bound_a_life() -> None:
    found = examine(az(systemData={"createdAt": "2026-10-12T08:00:00.123Z"}))
    (chat,) = found.deployments
    assert (chat.active_from, found.created[chat]) == (None, date(2026, 10, 12))
    assert "# active_from = 2026-10-12" in deployments_toml(found).splitlines()


def test_all_that_is_wrong_is_found(tmp_path: Path) -> None:
    text = MINIMAL + "tier = 5\nmodle = 1\n" + MINIMAL + MINIMAL + '[[deployment]]\nname = "e"\n'
    found = examine_deployments([("d.toml", text)])
    assert [one.entry.split(",")[0] for one in found.problems] == ["line 5", "line 6", "line 15", "line 15", "line 11"]
    assert len(found.deployments) == 1


@pytest.mark.parametrize("text", ["{}", '{"value": 1}', "[1]", '[{"name": 1}]', "[{", '[{"name": "x", "sku": "y"}]'])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DeploymentsError):
        read(tmp_path, text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([ARM, "Standard"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "type", "kind", "location", "properties", "model", "sku", "capacity", "value"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_no_json_is_more_than_listed(value: object) -> None:
    try:
        found = examine_deployments([("x.json", json.dumps([value]))])
    except DeploymentsError:
        return
    assert all(str(problem) for problem in found.problems)
    assert all(one.name.strip() and one.sku in SKUS for one in found.deployments)


@pytest.mark.parametrize("depth", [500, 900, 990, 1_000, 100_000])
def test_deep_json_is_refused(tmp_path: Path, depth: int) -> None:
    with pytest.raises(DeploymentsError):
        read(tmp_path, '{"a":' * depth + "1" + "}" * depth)


def test_utf_16_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(json.dumps(AZ), "utf-16")
    with pytest.raises(DeploymentsError, match="PowerShell"):
        read_deployments(tmp_path / "d.json")


def test_what_is_written_reads_back_as_the_json_did(tmp_path: Path) -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "az-deployments.json"
    found = examine_deployments([("az.json", example.read_text("utf-8"))])
    assert list(read(tmp_path, deployments_toml(found))) == list(read_deployments(example)) == found.deployments


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(str.strip)
words = st.text('abz-/.é"\\', min_size=1, max_size=6).map(lambda text: text.strip("/") or "a")
days = st.none() | st.dates()


@given(
    st.builds(Deployment, words, names, names, st.none() | names, st.sampled_from(SKUS), st.none() | words),
    st.sampled_from(TIERS),
    st.sampled_from(FINE_TUNED),
    st.integers(1, 10**6),
    st.lists(st.builds(Alias, names, st.just("") | words), max_size=3, unique_by=lambda alias: alias.name.lower()),
    days,
)
def test_any_deployment_reads_back_as_it_was_written(
    plain: Deployment, tier: str, fine_tuned: str, units: int, aliases: list[Alias], day: date | None
) -> None:
    wanted = replace(
        plain,
        tier=tier_of(plain.sku, tier),
        fine_tuned=fine_tuned,
        ptu_units=units if plain.sku.endswith("ProvisionedManaged") else None,
        aliases=tuple(alias for alias in aliases if alias.name.lower() != plain.name.lower()),
        active_from=day,
    )
    text = deployments_toml(Examination([wanted]))
    assert text.isascii()
    again = examine_deployments([("d.toml", text)])
    assert (again.deployments, again.problems) == ([wanted], [])


def one(resource: str, name: str = "chat", **more: object) -> Deployment:
    return Deployment(resource, name, "gpt-4o", sku="Standard", **more)  # type: ignore[arg-type]


def test_entries_are_found_by_resource_name_and_day() -> None:
    old, new = one("a", active_to=DAY), one("a", active_from=DAY)
    found = Deployments([new, old, one("b")])
    assert found.find("A", "CHAT", date(2026, 7, 31)) is old
    assert found.find("a", "chat", DAY) is new
    assert found.why("a", "chat", DAY) == ""


RENAMED = """
[[deployment]]
resource = "new-account"
name = "chat"
model = "gpt-4o"
sku = "Standard"
aliases = [
    { name = "chat-old", active_to = 2026-05-01 },
    { name = "Chat", resource = "old-account", active_from = 2026-02-01, active_to = 2026-03-01 },
]
"""


def test_a_renamed_deployment_is_found_by_its_old_names_on_their_days(tmp_path: Path) -> None:
    found = read(tmp_path, RENAMED)
    (chat,) = found
    assert chat.aliases == (
        Alias("chat-old", active_to=date(2026, 5, 1)),
        Alias("Chat", "old-account", date(2026, 2, 1), date(2026, 3, 1)),
    )
    assert found.find("new-account", "CHAT-OLD", date(2026, 4, 30)) is chat
    assert found.find("new-account", "chat-old", date(2026, 5, 1)) is None
    assert "not active on 2026-05-01" in found.why("new-account", "chat-old", date(2026, 5, 1))
    assert found.find(ARM.replace("contoso", "old-account"), "chat", date(2026, 2, 1)) is chat
    assert found.find("old-account", "chat", date(2026, 3, 1)) is None
    assert found.find("old-account", "chat-old", date(2026, 2, 1)) is None
    # Two of its names answer without a resource, and both mean it.
    assert found.find(None, "chat", date(2026, 2, 1)) is chat
    assert found.why(None, "chat", date(2026, 2, 1)) == ""


def test_an_alias_answers_on_days_of_the_deployments_life_alone() -> None:
    first = one("a", active_to=DAY, aliases=(Alias("old"),))
    second = one("a", active_from=DAY, aliases=(Alias("old"),))
    found = Deployments([first, second])
    assert found.find("a", "old", date(2026, 7, 31)) is first
    assert found.find("a", "old", DAY) is second


def test_the_name_of_a_renamed_deployment_may_be_given_to_another(tmp_path: Path) -> None:
    later = RENAMED.replace("new-account", "old-account").replace('"gpt-4o"', '"gpt-5"').split("aliases")[0]
    found = read(tmp_path, RENAMED + later + "active_from = 2026-03-01\n")
    assert [found.find("old-account", "chat", date(2026, month, 15)).model for month in (2, 3)] == ["gpt-4o", "gpt-5"]  # type: ignore[union-attr]


def test_overlaps_are_refused_wherever_deployments_come_from() -> None:
    with pytest.raises(DeploymentsError, match=r"deployment 2 \('b'\): alias 'chat' shares days"):
        Deployments([one("a"), one("a", "b", aliases=(Alias("chat", active_to=DAY),))])


def test_an_empty_file_is_told_from_none(tmp_path: Path) -> None:
    empty = read(tmp_path, "# nothing yet\n")
    assert "deployments.toml' has no entries" in empty.why("a", "chat", DAY)
    assert "no deployments file was given" in Deployments(()).why("a", "chat", DAY)


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


def test_deployments_are_equal_by_what_they_are() -> None:
    one, other = (
        Deployments([Deployment("contoso", "chat", "gpt-4o", sku=sku)]) for sku in ("Standard", "GlobalBatch")
    )
    again = Deployments([Deployment("contoso", "chat", "gpt-4o", sku="Standard")], path="elsewhere.toml")
    assert one == again
    assert hash(one) == hash(again)
    assert one != other
    assert one != "Deployments"
