"""Which operator connection carries a number. Pure; explains its choice."""
