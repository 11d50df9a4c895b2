import logging
import sys

import pytest

from edge_client.plain import one_line
from edge_client.service import OneLine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two faults:\n  a\n  b", "two faults:; a; b"),
        ("a \x1b[31mred\x1b[0m\x07 word", "a [31mred[0m word"),
        ("\u202eright to left", "right to left"),
    ],
)
def test_text_of_a_peer_is_one_printable_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_a_log_line_is_one_line_when_it_holds_a_traceback() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        record = logging.LogRecord("agent", logging.ERROR, "", 0, "it failed", (), sys.exc_info())
    assert len(OneLine("%(message)s").format(record).splitlines()) == 1
