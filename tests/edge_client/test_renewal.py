"""An agent renews its certificate by itself, and goes on with the new one."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from edge_client import schedule
from edge_client.agent import Agent
from edge_client.identity import load_identity
from edge_client.state import SiteState
from edgefed.local_federation import LocalFederation


async def test_an_agent_renews_its_certificate_when_it_is_time(
    coordinator: LocalFederation, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    coordinator.join("plant-a", None)
    state = SiteState(coordinator.site_state("plant-a"))
    before = load_identity(state)
    start, end = before.validity
    soon = (datetime.now(UTC) - start).total_seconds() + 1.0
    monkeypatch.setattr(schedule, "RENEW_AT", soon / (end - start).total_seconds())
    with caplog.at_level(logging.INFO):
        running = asyncio.create_task(Agent(state).run())
        async with asyncio.timeout(20):
            while not any("was renewed" in message for message in caplog.messages):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})
    after = load_identity(state)
    assert after.certificate_pem != before.certificate_pem
    assert after.key_pem == before.key_pem
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == []
