"""The guard of conftest.py really stands between a test and the network."""

import socket

import pytest

DOCUMENTATION_HOST = "192.0.2.1"  # reserved by RFC 5737, never routed


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_network_beyond_loopback_is_refused(method: str) -> None:
    with socket.socket() as sock, pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"):
        getattr(sock, method)((DOCUMENTATION_HOST, 80))


def test_network_on_loopback_is_allowed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()
