"""Tokens: what a site can find out before it dials."""

import dataclasses

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import InvalidInput, Refused
from protos.invitation import (
    Invitation,
    check_site_name,
    compressed_key,
    decode_token,
    encode_token,
    enrolment_credentials,
    enrolment_issuer,
)

INVITATION = Invitation("plant-a", bytes(range(16)), b"\x02" + bytes(32), 2_000_000_000)
TOKEN = encode_token(INVITATION)


def test_token_is_one_short_line() -> None:
    assert decode_token(f"  {TOKEN}\n", now=0) == INVITATION
    assert TOKEN.startswith("edgefed1.plant-a.") and len(TOKEN) < 110 and not set(TOKEN) & set(" \t\n'\"")


@given(position=st.integers(0, len(TOKEN) - 1), character=st.characters(codec="ascii", categories=["L", "N"]))
def test_any_mistyped_character_is_noticed(position: int, character: str) -> None:
    typed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if typed == TOKEN:
        return
    with pytest.raises(InvalidInput):
        decode_token(typed, now=0)


@pytest.mark.parametrize(
    "token", ["", "hello", TOKEN[:-3], TOKEN + "A", TOKEN.replace(".", ":"), "edgefed1..x", "ä" * 90]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidInput):
        decode_token(token, now=0)


def test_expired_token_says_both_times() -> None:
    with pytest.raises(Refused, match=r"plant-a expired at 2033-05-18 03:33 UTC .*clock says 2033-05-18 03:34"):
        decode_token(TOKEN, now=2_000_000_060)


@pytest.mark.parametrize(
    "name", ["", "Plant", "plant_a", "../x", "-a", "a-", "a" * 64, "a b", "plant-a\n", "edgefed-coordinator"]
)
def test_site_name_is_refused_when_it_is_not_safe(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_site_name(name)


def test_enrolment_certificate_is_issued_by_what_both_sides_derive() -> None:
    ca_key = compressed_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    _, issuer = enrolment_issuer(ca_key)
    _, pem = enrolment_credentials(ca_key)
    x509.load_pem_x509_certificate(pem).verify_directly_issued_by(issuer)
    _, other = enrolment_issuer(dataclasses.replace(INVITATION).ca_key)
    with pytest.raises(Exception, match=r".*"):
        x509.load_pem_x509_certificate(pem).verify_directly_issued_by(other)
