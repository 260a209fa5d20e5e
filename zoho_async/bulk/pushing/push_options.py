"""The options of a push, each declared here once: type, default, meaning, and its form on the command line.

`push`, `plan` and `retry` take them as keywords (`**options: Unpack[PushOptions]`), and the command line makes its
options of `PUSH_OPTIONS`. An option is used where it acts: one of `MatchingOptions` in `rows.options.Options.of`,
any other in `Push`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypedDict, TypeVar, get_type_hints

import msgspec

from zoho_async.schema.suggestions import did_you_mean
from zoho_async.transport.hooks import LeaseCheck

from .events import Event

Function = TypeVar("Function", bound=Callable[..., Any])


class OptionSpec(msgspec.Struct, frozen=True):
    """What is declared of an option beside its type."""

    default: Any
    """Its value when it is not given."""
    help: str
    """One or two sentences, for the docstring and the command line."""
    cli_type: type[Any] | None = None
    """Its type on the command line; None: it is no option there."""
    metavar: str = ""
    """How its value is shown on the command line."""
    min: int | None = None
    """The least value, where it is a number."""


class MatchingOptions(TypedDict, total=False):
    """The options that decide how a row finds its record, and what is written to it."""

    upsert_by: Annotated[
        str | None, OptionSpec(None, "Custom field without duplicates that identifies a row.", str, "cf_NAME")
    ]
    match_by: Annotated[
        str | None, OptionSpec(None, "Field that identifies a row: email, contact_name, gst_no ...", str, "FIELD")
    ]
    on_existing: Annotated[
        Literal["update", "skip", "fail"] | None,
        OptionSpec(
            None,
            "When the record is there. [fail where rows are known by name or e-mail, else update]",
            str,
            "update|skip|fail",
        ),
    ]
    empty: Annotated[
        Literal["keep", "clear"],
        OptionSpec("keep", "What an empty cell does to a record that is there.", str, "keep|clear"),
    ]
    on_name_taken: Annotated[
        str, OptionSpec("fail", "When another record has the name.", str, "fail|match|suffix:FIELD|allow")
    ]


class PushOptions(MatchingOptions, total=False):
    """Every option of `push`, which `plan` and `retry` take too."""

    limit: Annotated[
        int | None, OptionSpec(None, "Send so many rows at most, a pilot; the next run goes on.", int, "N", min=1)
    ]
    max_failures: Annotated[
        int, OptionSpec(10, "End when the first N rows are all refused for one reason.", int, "N", min=1)
    ]
    state: Annotated[
        str | Path | None,
        OptionSpec(None, "File that keeps what was done, so that a push can go on. [beside the input]", Path, "FILE"),
    ]
    label: Annotated[
        str, OptionSpec("", "Distinguishes destinations in one state file. [address, organisation and resource]")
    ]
    concurrency: Annotated[int, OptionSpec(10, "Calls in flight at most.", int, "N", min=1)]
    pause: Annotated[float, OptionSpec(2.0, "Seconds before an unknown outcome is looked up or sent again.")]
    wait: Annotated[bool, OptionSpec(False, "Wait for the next day's calls instead of ending.", bool)]
    window: Annotated[str | None, OptionSpec(None, "Make calls in these hours only, local time.", str, "19:00-07:00")]
    strict: Annotated[
        bool, OptionSpec(False, "Refuse the input where a plan warns; then nothing is written. Not with streams.", bool)
    ]
    lease: Annotated[
        LeaseCheck | None,
        OptionSpec(None, "Checked in the last moment before every call; once it is lost, nothing more is sent."),
    ]
    on_event: Annotated[
        Callable[[Event], None] | None,
        OptionSpec(None, "Called with the progress; an exception of it stops the push and is raised at its end."),
    ]


_HINTS: Final = get_type_hints(PushOptions, include_extras=True)
_MATCHING: Final = tuple(name for name in _HINTS if name in MatchingOptions.__annotations__)

PUSH_OPTIONS: Final[Mapping[str, OptionSpec]] = {name: hint.__metadata__[0] for name, hint in _HINTS.items()}
"""What is declared of each option of `push`, by its name."""


def takes_push_options(function: Function) -> Function:
    """Shows the options of a push in a function's signature and docstring, in place of its `**options`."""
    signature = inspect.signature(function)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=PUSH_OPTIONS[name].default, annotation=hint.__origin__
        )
        for name, hint in _HINTS.items()
    ]
    function.__dict__["__signature__"] = signature.replace(parameters=[*own, *options])
    listed = "".join(f"\n    {name}: {spec.help}" for name, spec in PUSH_OPTIONS.items())
    # Without its indentation, which Python 3.13 leaves out by itself.
    function.__doc__ = (inspect.getdoc(function) or "").replace("\n    **options: See `PushOptions`.", listed)
    return function


def with_defaults(options: PushOptions) -> dict[str, Any]:
    """Every option by its name: as given, else its default.

    Raises:
        TypeError: There is no option of a name.
        ValueError: A number is less than its least value.
    """
    for name in options:
        if name not in PUSH_OPTIONS:
            hint = did_you_mean(name, PUSH_OPTIONS, most=1)
            raise TypeError(f"a push has no option {name!r}" + (f"; {hint}" if hint else ""))
    given: Mapping[str, Any] = options
    for name, spec in PUSH_OPTIONS.items():
        if spec.min is not None and given.get(name) is not None and given[name] < spec.min:
            raise ValueError(f"{name} must be at least {spec.min}")
    return {name: spec.default for name, spec in PUSH_OPTIONS.items()} | dict(options)


def matching(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options among these that `Options.of` takes."""
    return {name: options[name] for name in _MATCHING}
