"""Ways to bend valid inputs, each a pure function of a random generator and the input."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

EDGES = (0, 1, 2, 7, 8, 127, 128, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)  # fmt: skip  # noqa: E501
TEXTS = (
    "", " ", "\0", "\n", "..", "../../etc/passwd", "/etc/passwd", "a/b", "a\nb", "con", "-rf", "%s%n", "é", "\u202e",
    "\ufeff", "\U0001f600", "x" * 64, "y" * 70_000, "\x1b[2J", "{}", "null", "' OR 1=1", "a" * 63 + "-", "current",
)  # fmt: skip
DEEP = 30_000


def bend_bytes(random: Random, data: bytes) -> bytes:
    """One change at a random place: a bit, a number, a slice taken out, put in twice or filled, an end cut off."""
    if not data:
        return random.randbytes(random.randrange(1, 64))
    at = random.randrange(len(data))
    span = min(len(data) - at, random.choice((1, 2, 4, 8, 32, 256, 4096)))
    match random.randrange(8):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + random.randbytes(span) + data[at + span :]
        case 2:
            return data[:at] + data[at + span :]
        case 3:
            return data[:at] + data[at : at + span] * random.choice((2, 3, 50)) + data[at + span :]
        case 4:
            return data[:at]
        case 5:
            return data + random.randbytes(span)
        case 6:
            width = random.choice((1, 2, 4, 8))
            number = random.choice(EDGES) % (1 << 8 * width)
            return data[:at] + number.to_bytes(width, random.choice(("little", "big"))) + data[at + width :]
        case _:
            return data[:at] + bytes([random.choice((0, 255))]) * span + data[at + span :]


def bend_json(random: Random, data: bytes) -> bytes:
    """One value, key or length of a JSON document becomes another; now and then the text itself is bent."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return bend_bytes(random, data)
    if random.random() < 0.15:
        return bend_bytes(random, data)
    if random.random() < 0.02:
        return random.choice((b"[" * DEEP, b'{"a":' * DEEP, b"1" * 5000, b"NaN", b'"' + b"x" * 100_000))
    return json.dumps(bend_value(random, document), ensure_ascii=random.random() < 0.5).encode(errors="surrogatepass")


def bend_value(random: Random, value: Any) -> Any:
    """The value with one place in it changed."""
    holder = [copy.deepcopy(value)]
    container, key = random.choice(list(_places(holder)))
    match random.randrange(5):
        case 0 if isinstance(container, dict):
            del container[key]
        case 1 if isinstance(container, dict):
            container[random.choice((*TEXTS, *container))] = container.pop(key)
        case 2 if isinstance(container, list):
            container[key:key] = [container[key]] * random.choice((1, 2, 100))
        case _:
            container[key] = hostile_value(random, container[key])
    return holder[0] if holder else None


def hostile_value(random: Random, old: Any) -> Any:
    """A value that stands where another one was: an edge of its kind, or of another kind."""
    if isinstance(old, bool) or random.random() < 0.3:
        return random.choice((None, True, [], {}, [[]], {"a": {}}, 0, -1, 1.5, "", float("nan"), float("inf"), 10**400))
    if isinstance(old, (int, float)):
        edges = (*EDGES, *(-edge for edge in EDGES), old + 1, old - 1, -old, old * 1000, 1e308, 0.5)
        return random.choice(edges)
    if isinstance(old, str):
        return random.choice((*TEXTS, old[:-1], old + "x", old.upper(), old * 100, old[::-1]))
    return random.choice(([], {}, [old], {"x": old}, "x", 7))


def _places(container: Any) -> Any:
    keys = list(container) if isinstance(container, dict) else range(len(container))
    for key in keys:
        yield container, key
        if isinstance(container[key], (dict, list)):
            yield from _places(container[key])


def bend_text(random: Random, data: bytes) -> bytes:
    """One line, word or character of a text file becomes another."""
    lines = data.decode(errors="surrogateescape").split("\n")
    at = random.randrange(len(lines))
    match random.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, random.choice(lines))
        case 2:
            lines[at] = random.choice(TEXTS)
        case 3:
            words = lines[at].split(" ")
            words[random.randrange(len(words))] = random.choice(_WORDS)
            lines[at] = " ".join(words)
        case 4:
            lines[at] += random.choice(_WORDS)
        case 5:
            return bend_bytes(random, data)
        case _:
            key, _, _ = lines[at].partition("=")
            lines[at] = f"{key} = {random.choice(_WORDS)}"
    return "\n".join(lines).encode(errors="surrogateescape")


_WORDS = (
    *TEXTS, '"', '"""', "[", "]", "[[", "{}", "=", "#", "[a.b.c]", "1e999", "-0", "nan", "inf", "0x1F", "9" * 30,
    "9" * 5000, "true", "1979-05-27", '["a", 1]', "[" * 500, "{a={b={c=1}}}", '"\\uD800"', '"../../x"', "\r",
    "1_000", '"cells"',
)  # fmt: skip
