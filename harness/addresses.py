"""Addresses that a person gives us: no secret may come in one, since addresses are printed, logged and recorded."""

from urllib.parse import parse_qs, urlsplit


def check_no_secret(uri: str, remedy: str) -> None:
    """ValueError for a URI with a secret in it, which the message does not repeat; ``remedy`` is where it belongs.

    A secret is a password, as PostgreSQL takes it too in the query, and for http a user as well: tokens come as one.
    """
    parts = urlsplit(uri)
    has_user = parts.username is not None and parts.scheme in ("http", "https")
    if parts.password is not None or has_user or "password" in parse_qs(parts.query):
        raise ValueError(
            f"{parts.scheme}://{parts.hostname or ''}{parts.path} came with a secret in it, which would be printed "
            f"and recorded; take it out and set {remedy} in the environment"
        )
