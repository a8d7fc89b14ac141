"""What people do with an account's templates. The trail keeps no texts."""

from enum import StrEnum

from pombo.errors import Taken
from pombo.message import MessageClass
from pombo.store import templates
from pombo.store.audit import Actor, changing
from pombo.store.database import Database
from pombo.store.templates import Template

MOST = 500
MOST_NAME = 60
MOST_BODY = 5000  # characters: more fits no message


class Fault(StrEnum):
    """Why something is no template that can be kept."""

    NO_NAME = "no_name"
    NAME = "name"  # too long
    NO_BODY = "no_body"
    BODY = "body"  # too long
    CLASS = "class"
    TAKEN = "taken"  # another one has the name
    MOST = "most"  # there are MOST already
    GONE = "gone"  # there is no such template (any more)


class Refused(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def read(name: str, body: str, message_class: str = "") -> Template:
    """As people write it. message_class: '' for the account's, or a number of message.MessageClass. Raises Refused."""
    name = " ".join(name.replace("\0", "").split())
    if not name:
        raise Refused(Fault.NO_NAME)
    if len(name) > MOST_NAME:
        raise Refused(Fault.NAME)
    body = body.replace("\0", "").replace("\r\n", "\n").strip()
    if not body:
        raise Refused(Fault.NO_BODY)
    if len(body) > MOST_BODY:
        raise Refused(Fault.BODY)
    try:
        return Template(name, body, int(MessageClass(int(message_class))) if message_class else None)
    except ValueError:
        raise Refused(Fault.CLASS) from None


async def add(db: Database, actor: Actor, account_id: int, new: Template) -> int:
    """Its id. Raises Refused."""
    try:
        async with changing(db, actor, "template.add") as change:
            if await templates.counted(change.db, account_id) >= MOST:
                raise Refused(Fault.MOST)
            template_id = await templates.add(change.db, account_id, new)
            change.record(f"account {account_id}", after={"template": template_id, **_told(new)})
    except Taken:
        raise Refused(Fault.TAKEN) from None
    return template_id


async def change(db: Database, actor: Actor, account_id: int, template_id: int, new: Template) -> None:
    """Raises Refused."""
    try:
        async with changing(db, actor, "template.set") as doing:
            before = await templates.template(doing.db, account_id, template_id)
            if before is None or not await templates.change(doing.db, account_id, template_id, new):
                raise Refused(Fault.GONE)
            old = Template(before["name"], before["body"], before["class"])
            moved = [field for field in new._fields if getattr(old, field) != getattr(new, field)]
            if moved:
                told = {"template": template_id, "changed": " ".join(moved), **_told(new)}
                doing.record(f"account {account_id}", after=told)
            else:
                doing.nothing()
    except Taken:
        raise Refused(Fault.TAKEN) from None


async def remove(db: Database, actor: Actor, account_id: int, template_id: int) -> bool:
    """Whether it was there."""
    async with changing(db, actor, "template.remove") as doing:
        before = await templates.template(doing.db, account_id, template_id)
        if before is None or not await templates.remove(doing.db, account_id, template_id):
            doing.nothing()
            return False
        told = _told(Template(before["name"], before["body"], before["class"]))
        doing.record(f"account {account_id}", before={"template": template_id, **told})
    return True


def _told(template: Template) -> dict[str, object]:
    return {
        "name": template.name,
        "characters": len(template.body),
        "class": template.message_class,
    }
