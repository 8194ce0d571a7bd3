"""``aoai-cost models``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .output import command, print_json, print_table

if TYPE_CHECKING:
    from ..catalog import Model

__all__ = ["models"]


@click.command()
@click.argument("name", required=False)
@command
def models(name: str | None, as_json: bool) -> None:
    """List the models that are known, or say all about one.

    \b
    Example:
      aoai-cost models gpt-4o-2024-11-20
    """
    from ..catalog import get_model, list_models

    found = list_models() if name is None else (get_model(name),)
    if as_json:
        print_json({"models": [_model_data(model) for model in found]})
        return
    if name is None:
        columns = ["name", "version", "kind", "encoding", "context_tokens", "max_output_tokens", "retires"]
        rows = [[_shown(_model_data(model)[column]) for column in columns] for model in found]
        print_table([column.replace("_", " ") for column in columns], rows, numeric=(4, 5))
        return
    facts = _model_data(found[0])
    print_table(("fact", "value"), [(key.replace("_", " "), _shown(value)) for key, value in facts.items() if value])


def _model_data(model: Model) -> dict[str, Any]:
    chat, tools, image = model.chat_rule, model.tool_rule, model.image_rule
    return {
        "name": model.name,
        "version": model.version,
        "kind": model.kind,
        "encoding": model.encoding,
        "encoding_known": model.encoding_known,
        "chat_rule": None if chat is None else f"{chat.name} ({chat.known}: {chat.source})",
        "tool_rule": None if tools is None else f"{tools.name} ({model.tool_known}: {tools.source})",
        "image_rule": None if image is None else f"{image.name} ({model.image_known}: {image.source})",
        "context_tokens": model.context_tokens,
        "max_input_tokens": model.max_input_tokens,
        "max_output_tokens": model.max_output_tokens,
        "long_context_above": model.long_context_above,
        "input_modalities": model.input_modalities,
        "output_modalities": model.output_modalities,
        "lifecycle": model.lifecycle,
        "retires": None if model.retires is None else model.retires.isoformat(),
        "note": model.note,
        "source": model.source,
        "checked": model.checked,
    }


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
