import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator

from g4local.tools import registry
from g4local.tools.registry import Tool, available, builtin, declaration, harmless, tool, validate


@tool
def order(
    dish: Annotated[str, "What to cook."],
    count: int,
    spice: Annotated[Literal["mild", "hot"], "How."] = "mild",
    extras: Annotated[list[str], "What goes with it."] = [],  # noqa: B006
    tip: float = 0.0,
    take_away: bool = False,
    note: Annotated[str | None, "For the cook."] = None,
) -> str:
    """Order a dish
    from the kitchen.

    This paragraph is for programmers.
    """
    return f"{count} {dish} {spice} {','.join(extras)} {tip} {take_away} {note}"


def test_a_typed_function_becomes_a_tool() -> None:
    assert (order.name, order.description) == ("order", "Order a dish from the kitchen.")
    assert order.parameters == {
        "type": "object",
        "properties": {
            "dish": {"type": "string", "description": "What to cook."},
            "count": {"type": "integer"},
            "spice": {"type": "string", "enum": ["mild", "hot"], "description": "How."},
            "extras": {"type": "array", "items": {"type": "string"}, "description": "What goes with it."},
            "tip": {"type": "number"},
            "take_away": {"type": "boolean"},
            "note": {"type": "string", "description": "For the cook."},
        },
        "required": ["dish", "count"],
    }
    Draft202012Validator.check_schema(order.parameters)


def test_a_parameter_that_may_be_left_out_may_be_null() -> None:
    arguments: dict[str, Any] = {"dish": "soup", "count": 2, "spice": None, "note": None}
    assert validate(order, arguments) is None
    assert order.run(arguments, Event()) == "2 soup mild  0.0 False None"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"count": 2}, "'dish' is a required property"),
        ({"dish": None, "count": 2}, "dish: None is not of type 'string'"),
        ({"dish": "soup", "count": "2"}, "count: '2' is not of type 'integer'"),
        ({"dish": "soup", "count": 2, "spice": "tepid"}, "spice: 'tepid' is not one of"),
        ({"dish": "soup", "count": 2, "extras": ["bread", 3]}, "extras.1: 3 is not of type 'string'"),
        ({"dish": "soup", "count": 2, "where": "here"}, "('where' was unexpected)"),
    ],
)
def test_wrong_arguments_are_told_in_a_sentence(arguments: dict[str, Any], word: str) -> None:
    complaint = validate(order, arguments)
    assert complaint is not None and word in complaint


def test_a_complaint_about_a_huge_argument_is_short() -> None:
    complaint = validate(order, {"dish": ["x" * 100_000], "count": 1})
    assert complaint is not None and len(complaint) < 400


def test_a_parameter_of_a_type_that_json_lacks_is_a_mistake_in_the_program() -> None:
    def wrong(path: Path) -> str:
        """Take a path."""
        return str(path)

    with pytest.raises(TypeError, match="no type that a tool's parameter can have"):
        tool(wrong)


def test_the_built_in_tools_begin_with_the_ones_that_the_built_in_model_knows(tmp_path: Path) -> None:
    assert [(each.name, each.description, *described_parameters(each)) for each in builtin(tmp_path)[:4]] == [
        (
            "calculate",
            "Work out an arithmetic expression.",
            {"expression": "Numbers, + - * / // % ** and parentheses."},
            ["expression"],
        ),
        ("clock", "Tell the date and time.", {"zone": "A time zone such as Europe/Paris; local time if left out."}, []),
        (
            "list_files",
            "List the files of a folder.",
            {"folder": "Inside the working folder; all of it if left out."},
            [],
        ),
        ("read_file", "Read a text file.", {"path": "Inside the working folder."}, ["path"]),
    ]


def test_a_tool_that_changes_something_is_offered_only_by_name(tmp_path: Path) -> None:
    tools = builtin(tmp_path)
    assert [each.name for each in harmless(tools)] == ["calculate", "clock", "list_files", "read_file", "search_files"]
    assert [each.name for each in tools if each.changes] == ["write_file", "edit_file", "run_shell"]
    assert all(each.description and each.source == "g4local" for each in tools)
    for each in tools:
        Draft202012Validator.check_schema(each.parameters)
        assert all(schema["description"] for schema in dict[str, Any](each.parameters["properties"]).values())


def test_a_tool_can_be_told_that_the_person_wants_to_stop() -> None:
    @tool(changes=True)
    def wait(seconds: int, cancel: Event) -> bool:
        """Wait."""
        return cancel.is_set()

    assert wait.changes
    assert wait.parameters == {
        "type": "object",
        "properties": {"seconds": {"type": "integer"}},
        "required": ["seconds"],
    }
    stop = Event()
    assert wait.run({"seconds": 1}, stop) is False
    stop.set()
    assert wait.run({"seconds": 1}, stop) is True


def described_parameters(each: Tool) -> tuple[dict[str, str], list[str]]:
    parameters: Any = each.parameters
    described = {name: schema["description"] for name, schema in parameters["properties"].items()}
    return described, parameters.get("required", [])


def test_a_declaration_is_openais(tmp_path: Path) -> None:
    assert declaration(builtin(tmp_path)[0]) == {
        "type": "function",
        "function": {
            "name": "calculate",
            "description": "Work out an arithmetic expression.",
            "parameters": {
                "type": "object",
                "properties": {
                    "expression": {"type": "string", "description": "Numbers, + - * / // % ** and parentheses."}
                },
                "required": ["expression"],
            },
        },
    }


OFFERED = order
CLASHING = Tool("clock", "Another clock.", {"type": "object"}, lambda arguments, cancel: "")
BAD_SCHEMA = Tool("bad", "A tool with a schema that is none.", {"type": "nonsense"}, lambda arguments, cancel: "")
PAIR = (order, CLASHING)
NO_NAME = Tool(
    "two\nlines<|turn>", "A tool with a name that is none.", {"type": "object"}, lambda arguments, cancel: ""
)
SERVED = Tool("files__read", "A tool with the name of a server's.", {"type": "object"}, lambda arguments, cancel: "")
NO_TOOL = "a string"


def offer(monkeypatch: pytest.MonkeyPatch, *values: str) -> tuple[list[str], tuple[str, ...]]:
    points = [EntryPoint(f"t{i}", value, registry.GROUP) for i, value in enumerate(values)]
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in points if p.group == group])
    tools, warnings = available(Path())
    return [each.name for each in tools if each.source != "g4local"], warnings


def test_other_packages_can_add_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "offering_package", SimpleNamespace(**globals()))
    assert offer(monkeypatch, "offering_package:OFFERED") == (["order"], ())
    names, warnings = offer(monkeypatch, "offering_package:PAIR")
    assert names == ["order"] and len(warnings) == 1 and "'clock'" in warnings[0]


@pytest.mark.parametrize("name", ["NO_TOOL", "NO_NAME", "SERVED", "BAD_SCHEMA", "MISSING"])
def test_a_broken_entry_point_is_a_warning(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, "offering_package", SimpleNamespace(**globals()))
    names, warnings = offer(monkeypatch, f"offering_package:{name}", "no_such_package:tool", "offering_package:OFFERED")
    assert names == ["order"] and len(warnings) == 2
    assert all("offering_package" in warning or "no_such_package" in warning for warning in warnings)
