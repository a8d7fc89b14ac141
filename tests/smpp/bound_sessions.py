"""Sessions that are bound already, and a look at what they sent."""

from pombo.smpp.codec import decode, encode
from pombo.smpp.framing import Framing
from pombo.smpp.pdu import BindTransceiver
from pombo.smpp.session import Role, Session


def pdus(octets):
    framing = Framing()
    framing.most_octets = 65_536
    return [decode(pdu) for pdu in framing.feed(octets)]


def sent(session):
    """(body, status) of everything queued since the last look."""
    return [(pdu.body, pdu.status) for pdu in pdus(session.outgoing())]


def only(items):
    [item] = items
    return item


def bound(role, bind=BindTransceiver, **settings):
    """A session of that role, bound at 0 s."""
    session = Session(role, now=0.0, **settings)
    if role is Role.ESME:
        number = session.request(bind(system_id=b"pombo"), 0.0)
        session.receive(encode(bind.response(b"smsc"), number), 0.0)
    else:
        session.receive(encode(bind(system_id=b"customer"), 1), 0.0)
        session.respond(1, bind.response(b"pombo"))
    session.outgoing()
    return session
