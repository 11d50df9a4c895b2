"""Who a site is, read back from its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_client.identity import Identity, load_identity, save_identity
from edge_client.state import SiteState
from protos.errors import StateError
from protos.invitation import enrolment_credentials


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("coordinator.json", '{"site": 5, "address": "c:1"}'),
        ("coordinator.json", '{"site": "../x", "address": "c:1"}'),
        ("coordinator.json", '{"site": "plant-a", "address": 1}'), ("coordinator.json", "[" * 100_000),
        ("key.pem", ""), ("key.pem", "-----BEGIN PRIVATE KEY-----\n"), ("ca.pem", "nothing"), ("cert.pem", ""),
    ],
)  # fmt: skip
def test_a_damaged_identity_is_told_before_it_is_used(tmp_path: Path, name: str, content: str) -> None:
    state = SiteState(tmp_path)
    state.identity.mkdir()
    key, certificate = enrolment_credentials(b"a CA's key")
    save_identity(state.identity, Identity("plant-a", "c:1", key, certificate, certificate))
    assert load_identity(state).site == "plant-a"
    (state.identity / name).write_text(content)
    with pytest.raises(StateError, match="cannot be read"):
        load_identity(state)
