"""Help and version, printed through output.py: if click printed them, a full disk would cause a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

import shardstore
from shardstore.cli import output


class Command(click.Command):
    """A command whose help is printed through output.py."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option that prints the help."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _printing(lambda context: context.get_help())
        return option


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command


def version_option(command: Any) -> Any:
    """Give the command the option --version."""
    return click.option(
        "--version",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_printing(lambda _: f"shardstore, version {shardstore.__version__}"),
        help="Show the version and exit.",
    )(command)


def _printing(text_of: Callable[[click.Context], str]) -> Callable[[click.Context, click.Parameter, Any], None]:
    def print_and_exit(context: click.Context, option: click.Parameter, is_given: Any) -> None:
        if is_given and not context.resilient_parsing:
            output.say(text_of(context))
            context.exit()

    return print_and_exit
