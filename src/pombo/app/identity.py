"""Who this process is to the others on its database."""

import uuid

from pombo.account.secret import made_once
from pombo.config import Config
from pombo.errors import PomboError


def holder(config: Config, worker: int | None) -> uuid.UUID:
    """This data directory's identity: after a restart it takes back what it had leased.

    worker: which of the API workers of the data directory this is: each has an identity of its own.
    """
    file = config.data / "node"
    try:
        of_data = uuid.UUID(made_once(file, f"{uuid.uuid4()}\n".encode()).decode().strip())
    except (OSError, ValueError) as error:
        raise PomboError(f"{file} cannot be read or made: {error}") from None
    return of_data if worker is None else uuid.uuid5(of_data, f"api worker {worker}")
