"""TLS to an operator: its certificate is always verified."""

import ssl

from pombo.errors import PomboError
from pombo.store.smscs import Smsc


def context(smsc: Smsc) -> ssl.SSLContext | None:
    """None for a connection without TLS. Raises PomboError where `tls_ca` is not a certificate."""
    if not smsc.tls:
        return None
    try:
        made = ssl.create_default_context(cadata=smsc.tls_ca or None)
    except (ssl.SSLError, ValueError):
        raise PomboError(
            f"connection {smsc.name}: tls_ca holds no certificate. It takes the certificates of who signs for this "
            "operator in PEM, from -----BEGIN CERTIFICATE----- on."
        ) from None
    if smsc.tls_ca:
        # It may be the operator's own certificate; and what operators sign with lacks what newer Pythons insist on.
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return made


def server_name(smsc: Smsc) -> str | None:
    return (smsc.tls_name or smsc.host) if smsc.tls else None


def fault(error: ssl.SSLError, smsc: Smsc) -> tuple[str, str]:
    """(what was wrong, what to do) with a handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        name = server_name(smsc)
        if error.verify_code in _WRONG_NAME:
            return error.verify_message, f"set tls_name to the name in the certificate; {name!r} was expected"
        if error.verify_code == _EXPIRED:
            return error.verify_message, "the operator must renew its certificate"
        signer = (
            "tls_ca does not hold who signed it" if smsc.tls_ca else "the system does not trust who signed it"
        )
        return error.verify_message, f"{signer}: put the signer's certificate into tls_ca"
    return (
        error.reason or str(error),
        "does the operator speak TLS on this port, TLS 1.2 or newer, and without a certificate of ours?",
    )


_EXPIRED = 10  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED
_WRONG_NAME = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
