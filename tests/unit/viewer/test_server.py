import http.client
import socket

import pytest

from histossl.errors import UserError
from histossl.viewer.server import POLICY, SlideServer


@pytest.fixture
def server(serve, library):
    return serve(library)


def ask(server, path, method="GET", host=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/index.html?x=1", "text/html"),
        ("/viewer.js", "text/javascript"),
        ("/attention_1.png", "image/png"),
        ("/tiles/10/0_0.jpeg", "image/jpeg"),
    ],
)
def test_the_page_and_its_tiles_are_served_with_the_policy(server, path, kind):
    answer, content = ask(server, path)
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (200, kind)
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(content) == int(answer.headers["Content-Length"]) > 0
    assert ask(server, path, "HEAD")[1] == b""


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/tiles/../index.html",
        "/tiles/99/0_0.jpeg",
        "/tiles/10/-1_0.jpeg",
        "/tiles/10/0_999999.jpeg",
        "/tiles/10/0_0.jpeg/..",
        "/slides.csv",
        "/viewer.js\x00",
    ],
)
def test_nothing_else_is_served(server, path):
    connection = socket.create_connection(("127.0.0.1", server.server_port), timeout=10)
    connection.sendall(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:1\r\n\r\n".encode())
    status = connection.makefile("rb").readline()
    connection.close()
    assert b" 404 " in status or b" 400 " in status


def test_a_page_from_elsewhere_cannot_ask_under_another_name(server):
    assert ask(server, "/", host="evil.example:80")[0].status == 403
    assert ask(server, "/", host=f"localhost:{server.server_port}")[0].status == 200
    assert ask(server, "/", "POST")[0].status == 501


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/"


def test_a_port_that_is_taken_is_named(server, tiles):
    with pytest.raises(UserError, match=f"port {server.server_port}: .*--port"):
        SlideServer(server.server_port, {}, tiles)
