"""Customer to us: the legacy HTTP API, authentication and the intake (group commit)."""
