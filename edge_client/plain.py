"""Text of a peer or a process, made safe for terminals and logs."""

from __future__ import annotations

import logging


def one_line(text: str) -> str:
    r"""The text on one line, with everything that is not printable left out.

    >>> one_line("two faults:\n  a \x1b[31mred\x1b[0m one")
    'two faults:; a [31mred[0m one'
    """
    lines = ("".join(character for character in line if character.isprintable()) for line in text.splitlines())
    return "; ".join(line.strip() for line in lines)


class OneLine(logging.Formatter):
    """One line for one event, whatever its message holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, with what there is of a traceback."""
        return one_line(super().format(record))
