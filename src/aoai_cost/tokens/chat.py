"""What a request is in tokens: messages, texts and images, before it is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

from ..catalog import ChatRule, Model, ToolForm, get_model, split_model_name
from ..errors import ImageError, RequestError, UnknownNameError, shorten
from .body import as_json, as_list, as_object, field
from .encoding import Encoding, get_encoding
from .images import image_size, image_token_bounds, image_tokens
from .media import MEDIA_PARTS, count_media, dropped_reasoning, dropping_note, reasoning_note
from .schema import Prompt, count_format, read_format, render_format
from .strict import with_written_format
from .tools import UNTOLD_FIELDS, CallHistory, Counted, choice_tokens, read_tools

__all__ = ["Certainty", "Count", "CountLine", "count_request"]

Certainty = Literal["exact", "estimated", "lower_bound", "unknown"]
Api = Literal["auto", "chat", "responses", "embeddings", "completions"]
Provider = Literal["azure", "openai"]

# Fields that change nothing in the billed input (token-rules, section 2), or only the output. With modalities and audio
# "hello" costs its 8 tokens (the answer that 302ai-jp.apifox.cn/225241593e0 shows for gpt-4o-audio-preview).
_FREE_FIELDS = frozenset(
    """
    model temperature top_p max_tokens max_completion_tokens max_output_tokens stop seed stream store user
    metadata service_tier stream_options n best_of presence_penalty frequency_penalty logit_bias logprobs
    top_logprobs safety_identifier prompt_cache_key prompt_cache_retention dimensions encoding_format
    background background_options truncation include extra_headers extra_query timeout echo verbosity reasoning_effort
    parallel_tool_calls max_tool_calls modalities audio moderation prompt_cache_options user_security_context
    """.split()  # noqa: SIM905  (a list of forty lines says no more)
)
_COUNTED_FIELDS = {
    "chat": frozenset({"messages", "tools", "functions", "tool_choice", "function_call", "prediction"}),
    "responses": frozenset({"input", "instructions", "tools", "tool_choice"}),
    "embeddings": frozenset({"input"}),
    "completions": frozenset({"prompt"}),
}
_SPEAKERS = frozenset({"system", "developer", "user", "assistant"})
_MESSAGE_FIELDS = frozenset(
    """
    type role content name refusal audio tool_calls function_call tool_call_id call_id id status output annotations
    parsed phase
    """.split()  # noqa: SIM905
)
_CALL_FIELDS = frozenset({"type", "id", "call_id", "name", "arguments", "status", "index", "function"})
_RESULT_FIELDS = frozenset({"type", "id", "call_id", "tool_call_id", "role", "name", "content", "output", "status"})
_PART_FIELDS = frozenset(
    """
    type text refusal image_url detail file file_data filename file_id file_url input_audio annotations logprobs
    prompt_cache_breakpoint
    """.split()  # noqa: SIM905
)
_REASONING_FIELDS = {"effort", "summary", "generate_summary"}
_REFUSAL_NOTE = "{}: a refusal is assumed to cost what its text does"
_RESULT_ROLES = ("tool", "function")
_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
_IMAGE_PARTS = frozenset({"image_url", "input_image"})


class CountLine(NamedTuple):
    """One item of a count: what it is, where in the body it stands, and its tokens."""

    label: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Count:
    """The input tokens of one request.

    ``bounds`` is (least, most); most is None when something in the request cannot be counted here.
    ``certainty`` is ``exact`` (the bounds are one number and every rule is documented or recovered),
    ``estimated`` (the truth lies within the bounds, or a rule was assumed) or ``lower_bound``.
    ``images`` is (place, size of the file in bytes) of each image; the size is None where the image is not in the body.
    ``prediction_tokens`` are those of a predicted output, which is billed as output where the answer rejects it.
    ``audio_bounds`` are the fewest and the most of the tokens that are audio, which has prices of its own.
    """

    model: Model
    api: str
    input_tokens: int
    bounds: tuple[int, int | None]
    certainty: Certainty
    lines: tuple[CountLine, ...]
    notes: tuple[str, ...]
    images: tuple[tuple[str, int | None], ...] = ()
    prediction_tokens: int = 0
    audio_bounds: tuple[int, int] = (0, 0)

    def _repr_html_(self) -> str:
        from .. import markup  # a count does without it

        least, most = self.bounds
        bounds = "" if least == most else f", {least:,} or more" if most is None else f", from {least:,} to {most:,}"
        headline = f"{self.input_tokens:,} input tokens for {self.model.name} ({self.certainty}{bounds})"
        lines = [(line.label, f"{line.tokens:,}") for line in self.lines]
        parts = markup.first_rows(("part", "tokens"), lines, len(lines), all_in=".lines", numeric=(1,))
        return markup.result(headline, parts, notes=self.notes)


class _Tally:
    """Collects the lines, bounds and notes of one request."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int]] = []
        self.notes: list[str] = []
        self.images: list[tuple[str, int | None]] = []
        self.prediction_tokens = 0
        self.audio = (0, 0)
        self.below = 0
        self.above = 0
        self.assumed = False
        self.uncounted = False

    def add(self, label: str, tokens: int, below: int = 0, above: int = 0) -> None:
        """Add tokens, which may be too high by `below` or too low by `above`."""
        self.lines.append((label, tokens))
        if below or above:
            self.below += below
            self.above += above

    def assume(self, note: str) -> None:
        self.assumed = True
        self.note(note)

    def leave_out(self, note: str) -> None:
        self.uncounted = True
        self.note(note)

    def note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def result(self, model: Model, api: str) -> Count:
        certainty: Certainty = "exact"
        if self.uncounted:
            certainty = "lower_bound"
        elif self.assumed or self.below or self.above:
            certainty = "estimated"
        tokens = sum([tokens for _, tokens in self.lines])
        bounds = (tokens - self.below, None if self.uncounted else tokens + self.above)
        return Count(
            model=model,
            api=api,
            input_tokens=tokens,
            bounds=bounds,
            certainty=certainty,
            lines=tuple(map(CountLine._make, self.lines)),
            notes=tuple(self.notes),
            images=tuple(self.images),
            prediction_tokens=self.prediction_tokens,
            audio_bounds=self.audio,
        )


def count_request(
    body: Any,
    *,
    model: str | Model | None = None,
    api: Api = "auto",
    provider: Provider = "azure",
    on: date | None = None,
) -> Count:
    """Count the input tokens of a request body, as it would be handed to the ``openai`` SDK.

    Parameters
    ----------
    body : mapping or object
        The keyword arguments of ``create`` or ``parse`` as a dict, a pydantic model, a dataclass or another object with
        attributes; its parts may be any of these or the SDK's typed objects, such as messages of earlier answers.
        A list may be any iterable, as the SDK takes it; an iterator is read once, and is empty when it is then sent.
        Chat Completions (``messages``), Responses (``input``), Embeddings (``input``) or
        Completions (``prompt``). Texts, images, json_schema formats, functions, their calls and results are counted; so
        are WAV and mp3 audio, files of text and plain Word documents. What cannot be (PDFs, stored files, encrypted
        reasoning, hosted tools, server-side state) is named in the notes, with a range where one is known, and makes
        the count a lower bound.
    model : str or Model, optional
        What the deployment serves; by default ``body["model"]``.
    api : str
        Which of the four it is; ``auto`` decides by the body's fields and the model.
    provider : str
        Who serves the request, ``azure`` or ``openai``. Recorded usage of both follows the same rules so far.
    on : date, optional
        The day on which the request is sent, for rules that changed; by default the rules of today.

    Raises
    ------
    RequestError
        For a body that is none of these, with the field that is wrong.
    UnknownNameError
        For a model that nobody here knows.
    ImageError
        For an image that cannot be read; its size is never invented.

    Examples
    --------
    >>> count_request({"messages": [{"role": "user", "content": "Hello"}]}, model="gpt-4o").input_tokens
    8
    """
    body = with_written_format(as_object(body, "body"))
    if provider not in ("azure", "openai"):
        raise RequestError("provider", f"must be azure or openai, found {shorten(provider)}")
    tally = _Tally()
    found = _model_of(body, model, tally)
    which = _api_of(body, found, api)
    if found.encoding is None:
        raise RequestError(
            "model", f"{found.name!r} ({found.kind}) has no known text encoding; its requests are not counted in tokens"
        )
    encoding = get_encoding(found.encoding)
    if found.encoding_known == "assumed":
        tally.assume(f"the encoding of {found.name} is assumed to be {found.encoding}")
    if which == "embeddings":
        _count_texts(tally, encoding, body.get("input"), "input")
    elif which == "completions":
        _count_texts(tally, encoding, body.get("prompt"), "prompt")
    else:
        _count_messages(tally, encoding, found, body, which)
        if on is not None and found.service_texts:
            _count_service_text(tally, found, body, which, on)
        if which == "chat":
            _count_prediction(tally, encoding, found, body)
    _note_uncounted(tally, body, which)
    return tally.result(found, which)


def _model_of(body: Mapping[str, Any], model: str | Model | None, tally: _Tally) -> Model:
    if isinstance(model, Model):
        return model
    name = model if model is not None else body.get("model")
    if not isinstance(name, str) or not name:
        raise RequestError("model", "no model given; on Azure the body names a deployment, so pass model= as well")
    try:
        return get_model(name)
    except UnknownNameError:
        base, version = split_model_name(name)
        if version is None:
            raise
    # A version that the catalogue does not list, of a model that it does: what the two have in common is assumed.
    found = get_model(base)
    tally.assume(f"version {version} of {base} is not in the catalogue; counted as version {found.version}")
    return found


def _api_of(body: Mapping[str, Any], model: Model, api: Api) -> str:
    if api != "auto":
        field = {"chat": "messages", "responses": "input", "embeddings": "input", "completions": "prompt"}.get(api)
        if field is None:
            raise RequestError("api", f"{shorten(api)} is none of auto, chat, responses, embeddings, completions")
        if body.get(field) is None and not (api == "responses" and _goes_on(body)):
            raise RequestError(field, f"is missing from a {api} request")
        return api
    if body.get("messages") is not None:
        return "chat"
    if body.get("input") is not None:
        return "embeddings" if model.kind == "embedding" else "responses"
    if _goes_on(body):
        return "responses"
    if body.get("prompt") is not None:
        return "completions"
    raise RequestError("body", "has none of messages (chat), input (responses, embeddings), prompt (completions)")


def _goes_on(body: Mapping[str, Any]) -> bool:
    """Whether a Responses body needs no input: it names a stored prompt or goes on with what the service has stored."""
    stored = isinstance(as_json(body.get("prompt")), Mapping)
    return stored or any(body.get(key) is not None for key in ("previous_response_id", "conversation"))


def _count_texts(tally: _Tally, encoding: Encoding, value: Any, field: str) -> None:
    """Embeddings and completions: the sum of the inputs, no overhead; token lists count as they are."""
    if isinstance(value, str):
        texts: list[tuple[str, Any]] = [(field, value)]
    else:
        value = as_list(value, field, "a text, a list of texts or of token ids")
        if value and all(map(_is_token_id, value)):
            tally.add(field, len(value))
            return
        texts = [(f"{field}[{i}]", as_json(item)) for i, item in enumerate(value)]
    if not texts:
        raise RequestError(field, "is empty; the service refuses that")
    for path, text in texts:
        if field == "input" and text in ("", []):
            raise RequestError(path, "is empty; the service refuses that")
        if isinstance(text, str):
            tally.add(path, encoding.count(text))
        elif isinstance(text, list) and all(map(_is_token_id, text)):
            tally.add(path, len(text))
        else:
            raise RequestError(path, f"must be a text or a list of token ids, not {type(text).__name__}")


def _is_token_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _messages_of(body: Mapping[str, Any], api: str) -> Iterator[tuple[str, Mapping[str, Any], str | None]]:
    """Yield (path, message, `_plain_text`) of a chat or responses body; ``instructions`` are one more message."""
    if api == "chat":
        field, items = "messages", body["messages"]
    else:
        if body.get("instructions"):
            yield "instructions", {"role": "system", "content": body["instructions"]}, None
        field, items = "input", body.get("input")
        if items is None:
            return
        if isinstance(items, str):
            yield "input", {"role": "user", "content": items}, None
            return
    items = as_list(items, field, "a list of messages")
    if not items and not (api == "responses" and body.get("instructions")):
        raise RequestError(field, "is empty; the service refuses that")
    for i, item in enumerate(items):
        path, text = f"{field}[{i}]", _plain_text(item)
        yield path, item if text is not None else as_object(item, path), text


def _plain_text(item: Any) -> str | None:
    """Return the text of a message that is a role and one text, as nearly all are; None of anything else."""
    if type(item) is not dict or len(item) != 2:
        return None
    role, text = item.get("role"), item.get("content")
    if type(text) is list and len(text) == 1 and type(part := text[0]) is dict and len(part) == 2:
        kind, text = part.get("type"), part.get("text")
        if type(kind) is not str or kind not in _TEXT_PARTS:
            return None
    return text if type(text) is str and type(role) is str and role in _SPEAKERS else None


def _count_messages(tally: _Tally, encoding: Encoding, model: Model, body: Mapping[str, Any], api: str) -> None:
    rule = model.chat_rule
    if rule is None:
        raise RequestError("messages", f"no message overhead is known for {model.name!r} ({model.kind})")
    if rule.known == "assumed":
        tally.assume(f"the message overhead of {model.name} is assumed: {rule.source}")
    form = None if model.tool_rule is None else getattr(model.tool_rule, api)
    block, declared = _count_tools(tally, encoding, model, form, body)
    if declared and api == "responses" and model.reasoning and body.get("parallel_tool_calls") is False:
        tally.assume("parallel_tool_calls: false is assumed to tell the model nothing; no recording shows it")
    history = CallHistory(form or ToolForm(""), encoding)
    system_text: str | None = None
    answers = 0
    heads: dict[str, int] = {}
    dropped: frozenset[str] | None = None
    messages = list(_messages_of(body, api))
    for path, message, text in messages:
        kind = "message"
        role: Any = message.get("role")
        calls: Sequence[tuple[str, Any, Any]] = ()
        if text is None:
            kind, role = field(message, "type") or "message", field(message, "role")
            if kind == "message" and role is None and message.keys() <= {"id", "type"} and "id" in message:
                kind = "item_reference"  # whose type may be left out
            result = kind == "function_call_output" or (kind == "message" and role in _RESULT_ROLES)
            calls = _calls_of(tally, path, message, kind)
            if (calls or result) and form is None:
                tally.leave_out(f"{path}: calls of tools and their results are not known for {model.name}")
                continue
            if result:
                _note_unread(tally, path, message, _RESULT_FIELDS)
                content = _read_content(tally, model, message, path, "output" if role is None else "content")
                identity = field(message, "call_id") or field(message, "tool_call_id")
                history.result(path, identity, field(message, "name"), content)
                continue
            if kind == "message":
                _note_unread(tally, path, message, _MESSAGE_FIELDS)
                if calls and field(message, "name") and not field(message, "content"):
                    tally.leave_out(f"{path}.name: what a name beside calls adds is not known")
                if isinstance(role, str) and role not in _SPEAKERS:
                    tally.assume(f"{path}.role: {shorten(role, 40)} is no role that the service documents")
        if kind == "message" and (not calls or any(field(message, key) for key in ("content", "refusal", "audio"))):
            if history.pending:
                _add_all(tally, history.flush())
            if text is None:
                head = _count_head(encoding, rule, path, message)
                text = _read_content(tally, model, message, path, "content")
                if message.get("audio"):
                    tally.leave_out(f"{path}.audio is not counted yet")
            elif role in heads:
                head = heads[role]
            else:
                head = heads[role] = _count_head(encoding, rule, path, message)
            alone = encoding.count(text)
            unsure = rule.assistant_unsure_tokens if role == "assistant" else 0
            tally.add(f"{path} ({role if len(role) <= 20 else 'message'})", head + alone, 0, unsure)
            if role in ("system", "developer"):
                if block:
                    # In one with the text before it: a closing stop and the blank line may be one token.
                    tally.add(f"{path} (tools)", encoding.count(f"{text}\n\n{block}" if text else block) - alone)
                    block = ""
                system_text = text if system_text is None else system_text
            elif role == "assistant":
                answers += bool(text)
        elif kind == "reasoning":
            if dropped is None:
                dropped = dropped_reasoning([(path, one) for path, one, _ in messages])
            _note_reasoning(tally, model, path, message, path in dropped)
        elif not calls:
            tally.leave_out(f"{path}: what an item of type {shorten(kind)} adds is known to the service alone")
        for where, call, function in calls:
            _note_unread(tally, where, call, _CALL_FIELDS)
            _assume_tools(tally, model, form or ToolForm(""))
            _add_all(tally, history.call(where, call, function))
    if history.pending:
        _add_all(tally, history.flush())
    if form is not None and form.heading and system_text and declared:
        # Tokenized as one, so that a closing stop and the blank line may be one token.
        together = encoding.count(f"{form.heading}{system_text}\n\n") - encoding.count(system_text)
        tally.add("tools (with the system text)", together - rule.message_tokens - encoding.count("system"))
    if block:
        tally.add("tools", rule.message_tokens + encoding.count("system") + encoding.count(block))
    tally.add("request overhead", rule.request_tokens, above=rule.request_unsure_tokens)
    if (asked := read_format(body, api)) is not None:
        has_tools = bool(body.get("tools") or body.get("functions"))
        _count_format(tally, encoding, model, rule, *asked, Prompt(api, system_text, answers, has_tools))


def _count_service_text(tally: _Tally, model: Model, body: Mapping[str, Any], api: str, on: date) -> None:
    """Count the text that the service itself added on the day."""
    for text in model.service_texts:
        if text.api != api or not text.first <= on <= text.last:
            continue
        tokens = text.tokens
        if body.get("tools"):
            tokens = text.tokens_with_tools
        elif tally.images:
            tokens = text.tokens_with_images
        seen = text.seen_first <= on <= text.seen_last
        tally.add("text of the service's own", tokens, below=0 if seen else tokens)
        tally.note(f"from {text.first} to {text.last} the service added text of its own on {model.name}: {text.source}")


def _count_format(
    tally: _Tally, encoding: Encoding, model: Model, rule: ChatRule, path: str, form: Any, prompt: Prompt
) -> None:
    block = render_format(form, path)
    if model.schema_rule is None:
        tally.leave_out(f"{path}: no cost of json_schema formats is known for {model.name}")
        return
    cost = count_format(block, model.schema_rule, rule, encoding, prompt)
    for doubt in cost.doubts:
        tally.assume(doubt)
    below, above = cost.tokens - cost.least, cost.most - cost.tokens
    tally.add(f"{path} ({shorten(block.name)})", cost.tokens, below=below, above=above)


def _count_tools(
    tally: _Tally, encoding: Encoding, model: Model, form: ToolForm | None, body: Mapping[str, Any]
) -> tuple[str, bool]:
    """Count the declared functions; return what of their text joins the first system message, and if there are any."""
    declared = read_tools(body, form)
    for path, kind in declared.others:
        tally.leave_out(f"{path}: tools of type {kind} add text that the service keeps to itself")
    for path, name in declared.unread:
        (tally.leave_out if name in UNTOLD_FIELDS else tally.assume)(
            f"{path}.{shorten(name, 40)}: what it adds is not known here"
        )
    if not declared.has_functions:
        return "", False
    if form is None:
        tally.leave_out(f"tools are not known for {model.name}")
        return "", True
    _assume_tools(tally, model, form)
    choice = choice_tokens(form, encoding, body.get("tool_choice") or body.get("function_call"))
    if choice.tokens or choice.above:
        _add_all(tally, [choice])
    for reason in declared.reasons:
        tally.note(reason)
    tokens = form.tokens + encoding.count(declared.block)
    below = min(declared.unsure, tokens)
    if form.joins_system:
        tally.add("tools (overhead)", form.tokens, below=below, above=declared.unsure)
        return declared.block, True
    tally.add("tools", tokens, below=below, above=declared.unsure)
    return "", True


def _assume_tools(tally: _Tally, model: Model, form: ToolForm) -> None:
    if model.tool_rule is not None and (form.assumed or model.tool_known == "assumed"):
        name = f"{model.name} {model.version}".strip()
        tally.assume(
            f"how tools are told to {name} is assumed to be as elsewhere: {form.assumed or model.tool_rule.source}"
        )


def _add_all(tally: _Tally, counted: Iterable[Counted]) -> None:
    for one in counted:
        tally.add(*one)


def _calls_of(tally: _Tally, path: str, message: Mapping[str, Any], kind: str) -> list[tuple[str, Any, Any]]:
    """Return (path, call, the part with name and arguments) of each call of a function in a message or item."""
    if kind == "function_call":
        return [(path, message, message)]
    if kind != "message":
        return []
    found = []
    listed = field(message, "tool_calls")
    for i, call in enumerate(map(as_json, as_list(listed, f"{path}.tool_calls") if listed else ())):
        where = f"{path}.tool_calls[{i}]"
        if field(call, "type") == "custom":
            tally.leave_out(f"{where}: calls of custom tools are not known")
        else:
            found.append((where, call, field(call, "function")))
    if (old := field(message, "function_call")) is not None:
        found.append((f"{path}.function_call", old, old))
    return found


def _note_unread(tally: _Tally, path: str, found: Any, known: frozenset[str]) -> None:
    """Say what of an object is not read, so that it is not taken for nothing."""
    for key in found if isinstance(found, Mapping) else ():
        if key not in known and found[key]:
            tally.assume(f"{path}.{shorten(key, 40)} is not known here; assumed to add nothing")


def _count_head(encoding: Encoding, rule: ChatRule, path: str, message: Mapping[str, Any]) -> int:
    """Count what a message costs beside its content."""
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise RequestError(f"{path}.role", f"must be a text, found {shorten(role)}")
    tokens = rule.message_tokens + encoding.count(role)
    if role == "assistant":
        tokens += rule.assistant_tokens
    name = message.get("name")
    if name is not None:
        if not isinstance(name, str):
            raise RequestError(f"{path}.name", f"must be a text, found {shorten(name)}")
        # A name equal to the role costs one token in all (token-rules, section 2).
        tokens += 1 if name == role else encoding.count(name) + rule.name_tokens
    return tokens


def _read_content(tally: _Tally, model: Model, message: Mapping[str, Any], path: str, where: str) -> str:
    """Return the texts of a message or result in one, as they are tokenized; count its images."""
    texts: list[str] = []
    for part_path, part in _parts_of(field(message, where), f"{path}.{where}"):
        kind = part.get("type")
        _note_unread(tally, part_path, part, _PART_FIELDS)
        if not isinstance(kind, str):
            raise RequestError(f"{part_path}.type", f"must be a text, found {shorten(kind)}")
        if kind in _TEXT_PARTS or kind == "refusal":
            text = part.get("text" if kind in _TEXT_PARTS else kind)
            if not isinstance(text, str):
                raise RequestError(f"{part_path}.text", f"must be a text, found {shorten(text)}")
            texts.append(text)
            if kind == "refusal":
                tally.assume(_REFUSAL_NOTE.format(path))
        elif kind in _IMAGE_PARTS:
            _count_image(tally, model, part_path, part)
        elif kind in MEDIA_PARTS:
            _count_media(tally, model, part_path, part)
        else:
            tally.leave_out(f"{part_path}: parts of type {shorten(kind)} are not counted yet")
    refusal = field(message, "refusal")
    if isinstance(refusal, str) and refusal:
        tally.assume(_REFUSAL_NOTE.format(path))
        texts.append(refusal)
    return "".join(texts)


def _parts_of(content: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if content is None:
        return
    if isinstance(content, str):
        yield path, {"type": "text", "text": content}
        return
    for i, part in enumerate(as_list(content, path, "a text or a list of parts")):
        yield f"{path}[{i}]", as_object(part, f"{path}[{i}]")


def _count_image(tally: _Tally, model: Model, path: str, part: Mapping[str, Any]) -> None:
    rule = model.image_rule
    if rule is None:
        raise RequestError(path, f"{model.name!r} has no known rule for images in its input")
    image: Any = field(part, "image_url")
    detail = part.get("detail")
    if isinstance(image, Mapping):
        image, detail = image.get("url"), image.get("detail", detail)
    where = "remote"
    if image is None and isinstance(part.get("file_id"), str):
        image, where = "", "stored"
    elif not isinstance(image, str) or not image.lower().startswith(("http://", "https://", "data:")):
        raise RequestError(f"{path}.image_url", f"must be an http(s) or data: URL, found {shorten(image)}")
    detail = "auto" if detail is None else detail
    if model.image_known == "assumed" or rule.known == "assumed":
        tally.assume(f"the image rule of {model.name} is assumed: {rule.source}")
    try:
        if image[:5].lower() == "data:":
            width_px, height_px = image_size(image)
            # Three bytes in four characters of base64.
            tally.images.append((path, (len(image) - image.find(",") - 1) * 3 // 4))
            tokens, unsure = image_tokens(rule, width_px, height_px, detail), rule.unsure_tokens
            tally.add(f"{path} ({width_px}x{height_px} px)", tokens, below=unsure, above=unsure)
            return
        tally.images.append((path, None))
        least, most = image_token_bounds(rule, detail)
    except ImageError as error:
        raise ImageError(path, error.reason) from None
    except RequestError as error:
        raise RequestError(f"{path}.{error.field}", error.reason) from None
    if least != most:
        tally.note(f"{path}: the size of a {where} image is not known here; counted at its most, {most} tokens")
    tally.add(f"{path} ({where} image)", most, below=most - least)


def _count_prediction(tally: _Tally, encoding: Encoding, model: Model, body: Mapping[str, Any]) -> None:
    """Count a predicted output; what the answer rejects of it is billed (token-rules, section 9)."""
    if (prediction := field(body, "prediction")) is None:
        return
    apart = _Tally()
    text = _read_content(apart, model, as_object(prediction, "prediction"), "prediction", "content")
    for note in apart.notes:
        tally.leave_out(note)
    tally.prediction_tokens = encoding.count(text)
    tally.assume("prediction: assumed not to be read as input; what the answer rejects of it is billed as output")


def _count_media(tally: _Tally, model: Model, path: str, part: Mapping[str, Any]) -> None:
    found = count_media(model, path, part)
    _add_all(tally, found.counted)
    tally.audio = (tally.audio[0] + found.audio[0], tally.audio[1] + found.audio[1])
    (tally.note if found.countable else tally.leave_out)(found.note)


def _note_reasoning(tally: _Tally, model: Model, path: str, item: Mapping[str, Any], dropped: bool) -> None:
    if not dropped:
        tally.leave_out(reasoning_note(path, item))
    elif note := dropping_note(model, path):
        tally.assume(note)


def _note_uncounted(tally: _Tally, body: Mapping[str, Any], api: str) -> None:
    for key, closed in body.items():
        if key in _COUNTED_FIELDS[api] or key in _FREE_FIELDS or (value := as_json(closed)) is None:
            continue
        if key == ("response_format" if api == "chat" else "text") and read_format(body, api) is not None:
            continue
        # Empty objects are not left out: some switch a tool on by being there.
        if isinstance(value, (str, list, tuple)) and not value:
            continue
        if key in ("response_format", "text") and isinstance(value, Mapping):
            form: Any = value if key == "response_format" else field(value, "format")
            plain = form is None or field(form, "type") in ("text", "json_object")
            if plain and (key == "response_format" or value.keys() <= {"format", "verbosity"}):
                continue
        if key == "reasoning" and isinstance(value, Mapping) and value.keys() <= _REASONING_FIELDS:
            continue
        tally.leave_out(f"{shorten(key)} is not counted yet")
