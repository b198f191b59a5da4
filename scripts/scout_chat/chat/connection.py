"""The socket.io connection of a chat page: Open WebUI streams an answer over it."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import socketio

from scout_chat.core.errors import UserError

Event = dict[str, Any]
Events = queue.Queue[Event]


@contextmanager
def connect(url: str, token: str, timeout: float) -> Iterator[tuple[str, Events]]:
    """Connect as the browser's page does, for the account that ``token`` signs in.

    Gives the session id and the queue of events. An event ``{"closed": reason}`` ends the queue when the connection closes.
    ``timeout``: seconds for each step. Raises UserError if the server refuses the connection.
    """
    events: Events = queue.Queue()
    client = socketio.Client(reconnection=False, handle_sigint=False, request_timeout=timeout, websocket_extra_options=_proxy_options(url))
    handle_messages_in_order(client)
    client.on("events", events.put)
    client.on("disconnect", lambda reason: events.put({"closed": str(reason)}))
    try:
        client.connect(url, auth={"token": token}, transports=["websocket"], socketio_path="/ws/socket.io", wait_timeout=timeout)
        # The server answers once the account is in the room that receives the events. Else the first words can be lost.
        if not client.call("user-join", {"auth": {"token": token}}, timeout=timeout):
            raise UserError(f"{url} refused the chat's connection: nobody is signed in")
        yield client.get_sid(), events
    except socketio.exceptions.SocketIOError as error:
        raise UserError(f"{url} refused the chat's connection: {error or 'no answer'}", "Does a proxy in front of it forward WebSocket connections?") from error
    finally:
        client.disconnect()


def handle_messages_in_order(client: socketio.Client) -> None:
    """Make the client handle each message before it reads the next.

    python-engineio starts a thread for each message. On a busy machine the threads run in another order, and the words
    of an answer change places.
    """
    start_thread = client.eio.start_background_task

    def start(target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if target is client.eio.handlers["message"]:
            return target(*args, **kwargs)
        return start_thread(target, *args, **kwargs)

    client.eio.start_background_task = start


def is_local(url: str) -> bool:
    """Return whether the address is this machine's own, which no proxy of the environment can reach."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost")


def _proxy_options(url: str) -> dict[str, Any]:
    """Return websocket-client's options that bypass a proxy for a local address."""
    host = urlsplit(url).hostname
    # websocket-client reads http_no_proxy only if a proxy host is given too.
    return {"http_proxy_host": host, "http_no_proxy": [host]} if is_local(url) else {}
