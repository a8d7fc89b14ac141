"""TLS to an operator, with certificates of the test's own."""

import pytest
import structlog

from certificates import Signer

pytestmark = pytest.mark.anyio

NAME = "smpp.operadora.example"


async def secured(office, context, **smsc):
    """The operator listens anew, with TLS."""
    place = await office(start=False, tls=True, **smsc)
    place.operator.stop()
    place.operator.tls = context
    await place.operator.start()
    place.start()
    return place


async def failure(place, logs):
    """The first `tls_failed`."""

    async def logged():
        return next((line for line in logs if line["event"] == "tls_failed"), None)

    found = await place.until(logged)
    assert place.operator.binds == []  # and nothing was said to it: no password
    return found


async def test_messages_go_and_receipts_come_over_tls(office, tmp_path):
    signer = Signer()
    place = await secured(office, signer.server(tmp_path, NAME), tls_ca=signer.pem, tls_name=NAME)
    message_id = await place.accept()
    _, sequence, peer = await place.operator.submit_and_peer()
    assert peer.transport.get_extra_info("ssl_object").version() in ("TLSv1.2", "TLSv1.3")
    place.operator.answer(sequence, b"5")
    place.operator.receipt("5", 5511999999999)
    await place.reaches(message_id, 3)
    place.operator.drop()
    await place.operator.stand(1)


async def test_the_operators_own_certificate_may_be_the_trusted_one(office, tmp_path):
    context = Signer().server(tmp_path, NAME)
    pem = (tmp_path / f"{NAME}.pem").read_text()
    place = await secured(office, context, tls_ca=pem[pem.index("-----BEGIN CERT") :], tls_name=NAME)
    await place.operator.stand(1)


@pytest.mark.parametrize(
    ("certificate", "days", "ours", "hint"),
    [
        ("other.example", 1, True, "tls_name"),
        (NAME, 1, False, "tls_ca"),
        (NAME, -1, True, "renew"),
    ],
    ids=["a wrong name", "an unknown signer", "an expired one"],
)
async def test_a_certificate_that_is_not_to_be_trusted_ends_it_with_a_hint(
    office, tmp_path, certificate, days, ours, hint
):
    signer = Signer()
    trusted = signer if ours else Signer("Outra CA")
    with structlog.testing.capture_logs() as logs:
        context = signer.server(tmp_path, certificate, days=days)
        place = await secured(office, context, tls_ca=trusted.pem, tls_name=NAME)
        line = await failure(place, logs)
    assert hint in line["hint"] and line["error"]


async def test_whom_the_system_does_not_know_is_not_trusted(office, tmp_path):
    with structlog.testing.capture_logs() as logs:
        place = await secured(office, Signer().server(tmp_path, NAME), tls_name=NAME)
        line = await failure(place, logs)
    assert "tls_ca" in line["hint"]


async def test_an_operator_without_tls_on_that_port_is_named_so(office):
    with structlog.testing.capture_logs() as logs:
        place = await office(tls=True, tls_name=NAME)
        line = await failure(place, logs)
    assert "speak TLS" in line["hint"]


async def test_a_tls_ca_that_is_none_is_said_so(office):
    with structlog.testing.capture_logs() as logs:
        place = await office(tls=True, tls_ca="not a certificate")

        async def logged():
            return next((line for line in logs if line["event"] == "link_interrupted"), None)

        line = await place.until(logged)
    assert "tls_ca" in line["error"] and "PEM" in line["error"]
