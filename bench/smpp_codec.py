"""SMPP codec and session on one core: `python -m bench.smpp_codec`."""

from time import perf_counter

from pombo.smpp.codec import decode, encode
from pombo.smpp.pdu import BindTransceiver, BindTransceiverResp, DeliverSm, SubmitSm, SubmitSmResp
from pombo.smpp.session import Role, Session

SUBMIT = SubmitSm(
    source_addr=b"27300",
    dest_addr_ton=1,
    dest_addr_npi=1,
    destination_addr=b"5511987654321",
    registered_delivery=1,
    short_message=b"Seu codigo de acesso e 123456. Nao compartilhe com ninguem." * 2,
)
RECEIPT = DeliverSm(
    source_addr=b"5511987654321",
    destination_addr=b"27300",
    esm_class=4,
    short_message=b"id:0123456789 sub:001 dlvrd:001 submit date:2601021504 done date:2601021504 "
    b"stat:DELIVRD err:000 text:",
    tlvs={0x001E: b"0123456789\0", 0x0427: b"\2"},
)
ROUND = 1000  # one measurement; the best of ROUNDS is free of what else the machine does
ROUNDS = 200


def best_rate(measured):
    """Times a second, where `measured` does ROUND of them."""
    best_s = float("inf")
    for _ in range(ROUNDS):
        started = perf_counter()
        measured()
        best_s = min(best_s, perf_counter() - started)
    return ROUND / best_s


def codec(body):
    def measured():
        for sequence_number in range(ROUND):
            decode(encode(body, sequence_number))

    return measured


def bound_pair(window):
    esme = Session(Role.ESME, now=0.0, window=window)
    smsc = Session(Role.SMSC, now=0.0)
    esme.request(BindTransceiver(system_id=b"pombo", password=b"secret"), 0.0)
    [bind] = smsc.receive(esme.outgoing(), 0.0)
    smsc.respond(bind.sequence_number, BindTransceiverResp(system_id=b"smsc"))
    esme.receive(smsc.outgoing(), 0.0)
    return esme, smsc


def round_trips(window=100):
    """Both sides of the session in one process: submit, its arrival, the response, its arrival."""
    esme, smsc = bound_pair(window)

    def measured():
        for _ in range(ROUND // window):
            for token in range(window):
                esme.request(SUBMIT, 1.0, token)
            for asked in smsc.receive(esme.outgoing(), 1.0):
                smsc.respond(asked.sequence_number, SubmitSmResp(b"0123456789"))
            if len(esme.receive(smsc.outgoing(), 1.0)) != window:
                raise RuntimeError("a request has no answer")

    return measured


def client_side(window=100):
    """The gateway's half alone: request and Answered, the responses ready made."""
    esme, _ = bound_pair(window)

    def measured():
        for _ in range(ROUND // window):
            responses = []
            for token in range(window):
                esme.request(SUBMIT, 1.0, token)
            first = esme._sequence_number - window + 1
            responses = b"".join(
                made[:12] + (first + i).to_bytes(4, "big") + made[16:] for i in range(window)
            )
            esme.outgoing()
            esme.receive(responses, 1.0)

    made = encode(SubmitSmResp(b"0123456789"), 1)
    return measured


def main():
    for name, measured in (
        ("submit_sm, encode + decode", codec(SUBMIT)),
        ("submit_sm_resp, encode + decode", codec(SubmitSmResp(b"0123456789"))),
        ("deliver_sm with receipt TLVs, encode + decode", codec(RECEIPT)),
        ("submit round trip through two sessions", round_trips()),
        ("submit round trip, our session alone", client_side()),
    ):
        print(f"{name:48} {best_rate(measured):>10,.0f} /s")


if __name__ == "__main__":
    main()
