from collections.abc import AsyncIterator

import pytest
from campaign_office import Office, open_office

from pombo.store.database import Database


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with open_office(database) as office:
        yield office
