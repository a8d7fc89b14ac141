"""The request of a call, and the record of the attempt that the call was."""

from pombo.callback.address import query
from pombo.callback.connection import KEPT_OCTETS, Answer, Call
from pombo.callback.lane import Endpoint
from pombo.callback.sign import webhook_id
from pombo.store.callbacks import Attempt


def write_request(call: Call, endpoint: Endpoint, authority: str) -> None:
    message_id = webhook_id(call.job.callback_id)
    timestamp_s = int(call.at_s)
    call.target = target = endpoint.opening + query(call.job)
    call.signature = endpoint.signer.signature(message_id, timestamp_s, target)
    call.request = (
        f"GET {target} HTTP/1.1\r\nHost: {authority}\r\n"
        f"User-Agent: pombo\r\nAccept: */*\r\n"
        f"webhook-id: {message_id}\r\nwebhook-timestamp: {timestamp_s}\r\n"
        f"webhook-signature: {call.signature}\r\n\r\n"
    ).encode("ascii")


def attempt(call: Call, answer: Answer, now: float) -> Attempt:
    return Attempt(
        call.job.callback_id,
        call.at_s,
        call.endpoint.origin + call.target,
        call.signature,
        call.address,
        answer.status,
        answer.error,
        int((now - call.started) * 1000),
        answer.octets[:KEPT_OCTETS],
    )
