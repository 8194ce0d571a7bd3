"""TOML files of users: the line that an error names is the right one, or none."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.errors import DeploymentsError, PriceSheetError
from aoai_cost.tomlfile import TomlFile, read_text, toml_text

# @@@ stands for three single quotes.
SHEET = r'''# [[rate]]
title = """
[[rate]]
model = "no" # ""\"
"""
path = 'C:\[[rate]]' # "
[source.S1]
title = "[[rate]]"

[[rate]]
"mod\u0065l" = "gpt-4o" # [[rate]]
regions = [
    "a", # ]
    "model = @@@ ]",
]
price.input = "2.50"
price . "input:image" = @@@
[[rate]]@@@'
[rate.more]
deep = { er = { "x.y" = 1 } }

[[ rate ]] # the second
model = "m"
price = { input = "1", output = "2" }
[[rate.tiers]]
name = "a"
[other]
price = 1
'''.replace("@@@", "'" * 3)


def file(text: str) -> TomlFile[PriceSheetError]:
    return TomlFile("my.toml", text, PriceSheetError)


@pytest.mark.parametrize(
    ("number", "key", "line"),
    [
        pytest.param(1, (), 10, id="the first entry, after headers in texts and comments"),
        pytest.param(1, ("model",), 11, id="a key in quotes with an escape"),
        pytest.param(1, ("regions",), 12, id="an array over several lines"),
        pytest.param(1, ("price", "input"), 16, id="a dotted key"),
        pytest.param(1, ("price",), 16, id="what a dotted key begins with"),
        pytest.param(1, ("price", "input:image"), 17, id="a dotted key with quotes and blanks"),
        pytest.param(1, ("more",), 19, id="a table inside the entry"),
        pytest.param(1, ("more", "deep", "er", "x.y"), 20, id="a key in inline tables: the line that holds them"),
        pytest.param(1, ("price", "output"), None, id="a key that is not there"),
        pytest.param(2, (), 22, id="a header with blanks and a comment"),
        pytest.param(2, ("price", "output"), 24, id="a key of an inline table"),
        pytest.param(2, ("tiers",), 25, id="an array of tables inside the entry"),
        pytest.param(2, ("tiers", "name"), None, id="a key of one of several tables"),
        pytest.param(3, (), None, id="an entry that is not there"),
        pytest.param(0, (), None, id="entries count from one"),
    ],
)
def test_the_line_of_an_entry(number: int, key: tuple[str, ...], line: int | None) -> None:
    assert file(SHEET).line_of("rate", *key, number=number) == line


@pytest.mark.parametrize(
    ("key", "line"),
    [(("title",), 2), (("source",), 7), (("source", "S1", "title"), 8), (("other", "price"), 28), (("none",), None)],
)
def test_the_line_of_a_key_of_the_file(key: tuple[str, ...], line: int | None) -> None:
    assert file(SHEET).line_of(*key) == line
    assert file(SHEET.replace("\n", "\r\n")).line_of(*key) == line


def test_entries_in_one_value_have_the_line_of_its_key() -> None:
    text = 'x = 1\nrate = [\n  { model = "a" },\n  { model = 2 },\n]\n'
    assert [file(text).line_of("rate", *key, number=2) for key in ((), ("model",))] == [2, 2]
    _, second = file(text).entries("rate", called_by="model")
    assert second.refuse("has no sku", "model").entry == "line 2, rate 2"


def test_an_error_names_file_line_and_entry() -> None:
    first, second = file(SHEET).entries("rate", called_by="model")
    assert str(first.refuse("is odd", "price", "input")) == "price sheet 'my.toml', line 16, rate 1 ('gpt-4o'): is odd"
    # A key that is not there: the entry's own line.
    assert second.refuse("has no sku", "sku").entry == "line 22, rate 2 ('m')"
    assert second.within({}, "tier 1", "tiers").refuse("has no name", "name").entry == "line 25, rate 2 ('m')"
    assert file(SHEET).refuse("source", "is odd", "source", "S1").entry == "line 7, source"


def test_facts_of_the_wrong_type_are_told_apart() -> None:
    text = '[[rate]]\nmodel = 1\nfrom = "2026-01-01"\nto = 2026-01-01T00:00:00\nsku = "x"\nchecked = 2026-01-01\nz = 1'
    (rate,) = file(text).entries("rate", called_by="model")
    problems: list[PriceSheetError] = []
    days = ("from", "to", "checked")
    assert list(rate.sound(problems, texts=("model", "sku"), days=days)) == ["sku", "checked"]
    assert [one.entry for one in problems] == [f"line {line}, rate 1" for line in (2, 3, 4, 7)]
    assert [one.reason.split(",")[0] for one in problems] == [
        "model must be a text in quotes",
        "from must be a day such as 2026-08-01",
        "to must be a day such as 2026-08-01",
        "has the unknown key 'z'; the keys are model",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("rate = 1", "line 1: write [[rate]] with two brackets", id="a number"),
        pytest.param("\n[rate]", "line 2: write [[rate]] with two brackets", id="one bracket"),
        pytest.param("rate = [1]", "line 1, rate 1: is not a table", id="a list of numbers"),
        pytest.param("rate = []\n[other]", "line 2: has the unknown key 'other'", id="another table"),
        pytest.param("[rate", "'my.toml': is not TOML that can be read", id="not TOML"),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, said: str) -> None:
    def read() -> None:
        found = file(text)
        found.expect("rate")
        list(found.entries("rate", called_by="model"))

    with pytest.raises(PriceSheetError) as caught:
        read()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(None, "cannot be read: No such file", id="absent"),
        pytest.param(b"\xff", "is not UTF-8 text", id="not UTF-8"),
        pytest.param("x".encode("utf-16"), "it is UTF-16", id="UTF-16"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes | None, reason: str) -> None:
    if data is not None:
        (tmp_path / "a").write_bytes(data)
    with pytest.raises(DeploymentsError) as caught:
        read_text(tmp_path / "a", DeploymentsError)
    assert caught.value.path.endswith("a")
    assert reason in caught.value.reason


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_is_written_as_toml_reads_it(text: str) -> None:
    written = toml_text(text)
    assert written.isascii()
    assert tomllib.loads(f"x = {written}") == {"x": text}


# Texts with all that could be taken for structure, in each of TOML's four kinds of quotes.
hostile = st.lists(st.sampled_from([*"[]{}#=\"'\\\nr.", "[[r]]", "\n[[r]]\n", "\na = 1\n", '"""', "'''"])).map("".join)
KEYS = ["a", "b", "c.d", "r", "x y", 'q"', "#", "[[r]]"]


def quoted(draw: st.DrawFn, text: str) -> str:
    kind = draw(st.sampled_from(['"', '"""', "'", "'''"]))
    if kind == '"""':
        # Newlines and quotes stand as they are, but for a third quote in a row.
        return '"""\n' + text.replace("\\", "\\\\").replace('""', '"\\"') + '"""'
    if kind == '"' or "'" in text or (kind == "'" and "\n" in text):
        return toml_text(text)
    return f"{kind}{text}{kind}"


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[tuple[int, str], int]]:
    """A TOML text with [[r]] entries, and on which line each entry and each of its keys stands."""
    lines: list[str] = []
    places: dict[tuple[int, str], int] = {}

    def add(text: str) -> int:
        lines.extend(text.split("\n"))
        return len(lines) - text.count("\n")

    def value() -> str:
        texts = [quoted(draw, draw(hostile)) for _ in range(draw(st.integers(1, 3)))]
        between = draw(st.sampled_from([", ", ",\n", ", # ]\n"]))
        inline = f"{{ k = {toml_text(draw(hostile))} }}"
        return draw(st.sampled_from([texts[0], "1", f"[{between.join(texts)}]", inline]))

    if draw(st.booleans()):
        add(f"first = {value()}")
    for number in range(1, draw(st.integers(0, 3)) + 1):
        if draw(st.booleans()):
            add(draw(st.sampled_from(["", "# [[r]]", f"[other{number}]\na = 1", f"[[s]]\na = {value()}"])))
        places[number, ""] = add(draw(st.sampled_from(["[[r]]", " [[ r ]]  # [[r]]", '[["r"]]', "[['r']]"])))
        for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
            places[number, key] = add(f"{toml_text(key)}{draw(st.sampled_from(['=', ' = ']))}{value()}")
    return "\n".join(lines), places


@given(documents(), st.booleans())
def test_a_line_is_right_in_any_document(document: tuple[str, dict[tuple[int, str], int]], windows: bool) -> None:
    text, places = document
    found = file(text.replace("\n", "\r\n") if windows else text)
    for (number, key), line in places.items():
        assert found.line_of("r", *([key] if key else []), number=number) == line


SHEETS = sorted((Path(__file__).resolve().parent.parent / "src" / "aoai_cost" / "prices" / "sheets").glob("*.toml"))


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_lines_are_right_in_the_bundled_sheets(path: Path) -> None:
    found = TomlFile(path, read_text(path, PriceSheetError), PriceSheetError)
    lines = path.read_text("utf-8").split("\n")
    for number, rate in enumerate(found.data.get("rate", []), start=1):
        line = found.line_of("rate", "model", number=number)
        assert line is not None
        assert tomllib.loads(lines[line - 1]) == {"model": rate["model"]}
