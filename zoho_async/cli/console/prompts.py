"""Questions on the terminal; they go to stderr, so that stdout has data only."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import typer

from .exit_codes import ArgumentError
from .tables import plain


def ask(text: str, *, option: str, hidden: bool = False) -> str:
    """A line that somebody types. Raises ArgumentError, naming the option instead, when there is nobody to ask.

    Args:
        text: The question.
        option: What answers it in a script.
        hidden: Whether what is typed is not shown.
    """
    if not sys.stdin.isatty():
        raise ArgumentError(f"{text}: there is no terminal to ask on", option)
    try:
        with _interruptible():
            answer: str = typer.prompt(text, hide_input=hidden, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None
    return answer.strip()


def choose(text: str, choices: Sequence[str], *, option: str) -> int:
    """The place of the chosen one of some lines, counted from 0. Raises ArgumentError as `ask` does."""
    for number, choice in enumerate(choices, 1):
        typer.echo(f"  {number:>2}  {plain(choice)}", err=True)
    while True:
        answer = ask(f"{text} (1-{len(choices)})", option=option)
        if answer.isdecimal() and 1 <= int(answer) <= len(choices):
            return int(answer) - 1
        typer.echo(f"a number from 1 to {len(choices)}, please", err=True)


def tell(text: str) -> None:
    """A line for the person at the terminal."""
    typer.echo(text, err=True)


@contextmanager
def _interruptible() -> Generator[None, None, None]:
    """Lets Ctrl-C end a question at once: the event loop, which would handle it, stands still meanwhile."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
