import base64
import hmac

from pombo.callback.sign import Signer, new_secret, show_secret, webhook_id

# Computed apart from this code:
#   printf %s 'cb_7.1795352404./dlr?status=2&id=a' |
#   openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f -binary | base64
SECRET = bytes(range(32))
TARGET = "/dlr?status=2&id=a"
EXPECTED = "v1,8JT2E34qnfDic6qSC0kWQCQsGbiiTQ+IKJz32KsPYQw="


def test_the_signature_covers_id_timestamp_and_request_target() -> None:
    assert Signer(SECRET).signature("cb_7", 1795352404, TARGET) == EXPECTED
    assert Signer(SECRET).signature("cb_8", 1795352404, TARGET) != EXPECTED
    assert Signer(SECRET).signature("cb_7", 1795352405, TARGET) != EXPECTED
    assert Signer(SECRET).signature("cb_7", 1795352404, TARGET + "b") != EXPECTED
    assert Signer(bytes(32)).signature("cb_7", 1795352404, TARGET) != EXPECTED


def test_a_secret_is_random_and_shown_as_standard_webhooks_writes_it() -> None:
    secret = new_secret()
    assert len(secret) == 32
    assert secret != new_secret()
    shown = show_secret(secret)
    assert shown.startswith("whsec_")
    assert base64.b64decode(shown.removeprefix("whsec_")) == secret


def test_the_webhook_id_depends_on_the_callback_alone() -> None:
    assert webhook_id(7) == "cb_7"


def test_keys_of_every_length_sign_as_hmac_does() -> None:
    for octets in (0, 1, 63, 64, 65, 200):
        key = bytes(range(octets))
        mac = base64.b64encode(hmac.digest(key, b"a.1./", "sha256")).decode()
        assert Signer(key).signature("a", 1, "/") == "v1," + mac
