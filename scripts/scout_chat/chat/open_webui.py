"""A client of Open WebUI (0.12.4) that does what a person's browser does, and what a script does.

The browser posts a turn and receives the words over socket.io. Open WebUI keeps the conversation: for a turn of a stored
chat the browser sends the new message and the ids, never the messages before it, and the server adds those by itself.
"""

import ipaddress
import json
import queue
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import engineio
import httpx
import socketio

from scout_chat.core.errors import UserError

Events = queue.Queue[dict[str, Any]]


@dataclass(frozen=True)
class Chat:
    """A stored chat and the message that its next turn follows."""

    id: str
    last: str


@dataclass(frozen=True)
class Answer:
    """One turn. ``text`` is what is stored and shown; times are seconds from the moment of asking.

    ``seconds_to_first_text`` leaves out an engine's reasoning; it equals ``seconds`` when nothing was streamed.
    ``events`` counts the pieces of text that were streamed. ``title`` is empty unless it was asked for.
    """

    text: str
    chat: Chat
    seconds: float
    seconds_to_first_text: float
    events: int
    title: str = ""

    @property
    def chat_id(self) -> str:
        return self.chat.id


class WebUI:
    """Open WebUI at ``base_url``, for one account. ``timeout``: seconds for each request that waits for no engine.

    Every method raises UserError when the server does not answer, refuses, or reports an engine's error.
    """

    def __init__(self, base_url: str, timeout: float = 60) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.token = ""
        # A proxy named in the environment never reaches this machine's own ports.
        host = urlsplit(self.base_url).hostname
        direct = host in ("127.0.0.1", "localhost")
        self._http = httpx.Client(base_url=self.base_url, timeout=timeout, trust_env=not direct)
        # websocket-client heeds the exception only beside a proxy that is named.
        self._socket_options = {"http_proxy_host": host, "http_no_proxy": [host]} if direct else {}

    def health(self) -> bool:
        """Whether it answers and calls itself healthy; it may not know its models yet."""
        try:
            return self._http.get("/health").is_success
        except httpx.HTTPError:
            return False

    def sign_in(self, email: str, password: str) -> "WebUI":
        """Signs this client in and returns it. Open WebUI allows an account 15 sign-ins in 3 minutes."""
        answer = self._http_call("POST", "/api/v1/auths/signin", json={"email": email, "password": password}, what=f"to sign in {email}")
        return self.use(answer["token"])

    def use(self, token: str) -> "WebUI":
        """Signs this client in with a token that the server gave elsewhere, and returns it."""
        self.token = token
        self._http.headers["Authorization"] = f"Bearer {token}"
        return self

    def add_user(self, name: str, email: str, password: str, role: str = "user") -> None:
        """Makes an account; the signed-in one is an administrator's."""
        self._http_call("POST", "/api/v1/auths/add", json={"name": name, "email": email, "password": password, "role": role}, what=f"to add {email}")

    def change_password(self, email: str, old: str, new: str) -> None:
        """Gives the signed-in account another password, which ends its sessions, and signs it in again."""
        self._http_call("POST", "/api/v1/auths/update/password", json={"password": old, "new_password": new}, what="to change the password")
        self.sign_in(email, new)

    def write(self, text: str) -> None:
        """Stores a conversation of one message, as the browser does before the answer comes."""
        message = {"id": str(uuid.uuid4()), "parentId": None, "childrenIds": [], "role": "user", "content": text, "timestamp": int(time.time())}
        history = {"messages": {message["id"]: message}, "currentId": message["id"]}
        self._http_call("POST", "/api/v1/chats/new", json={"chat": {"title": text, "models": [], "history": history, "messages": [message]}})

    def questions(self) -> list[str]:
        """What the signed-in account wrote, in all of its conversations."""
        chats = [self._http_call("GET", f"/api/v1/chats/{item['id']}")["chat"] for item in self._http_call("GET", "/api/v1/chats/")]
        return [message["content"] for item in chats for message in item["history"]["messages"].values() if message["role"] == "user"]

    def config(self) -> dict[str, Any]:
        return self._http_call("GET", "/api/config")

    def models(self) -> list[str]:
        """The ids that this account may choose from, in the order of the list."""
        return [model["id"] for model in self._http_call("GET", "/api/models")["data"]]

    def chat(
        self,
        question: str,
        model: str,
        chat: Chat | None = None,
        on_text: Callable[[str], None] | None = None,
        *,
        title: bool = False,
        timeout: float = 600,
    ) -> Answer:
        """Asks as the browser does: a new chat, or the next turn of ``chat``.

        ``on_text`` gets each piece of the answer as it arrives. ``title`` lets the engine name a new chat, as the
        browser's first turn does, and waits for the name. ``timeout``: seconds for the whole turn.
        """
        turn = _turn(question, model, chat, title)
        with self._socket() as (session_id, events):
            start = time.monotonic()
            posted = self._http_call("POST", "/api/chat/completions", json={**turn, "session_id": session_id}, what=f"a question to {model}", timeout=timeout)
            reading = _Reading(turn["id"], start, on_text)
            while reading.text is None or (title and not chat and not reading.title):
                try:
                    reading.take(events.get(timeout=max(0.0, start + timeout - time.monotonic())))
                except queue.Empty:
                    missing = "title" if reading.text is not None else "complete answer"
                    raise UserError(f"{self.base_url}: no {missing} from {model} within {timeout:.0f} s ({reading.events} pieces of text came)") from None
        return Answer(reading.text, Chat(posted["chat_id"], turn["id"]), reading.seconds, reading.first or reading.seconds, reading.events, reading.title)

    def complete(self, question: str, model: str, *, timeout: float = 600) -> str:
        """A script's call, with no chat: the whole answer at once."""
        body = {"model": model, "stream": False, "messages": [{"role": "user", "content": question}]}
        answer = self._http_call("POST", "/api/chat/completions", json=body, what=f"a question to {model}", timeout=timeout)
        if not answer.get("choices"):
            raise UserError(f"{model} at {self.base_url}: {_reason(answer)}")
        return answer["choices"][0]["message"]["content"] or ""

    def stream(self, question: str, model: str, *, timeout: float = 600) -> Iterator[str]:
        """A script's call, with no chat: the pieces of the answer. ``timeout``: seconds between two pieces."""
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}
        try:
            with self._http.stream("POST", "/api/chat/completions", json=body, timeout=timeout) as response:
                if response.is_error:
                    response.read()
                    raise self._refused(response, f"a question to {model}")
                for line in response.iter_lines():
                    if line.startswith("data: {"):
                        yield from _piece(json.loads(line.removeprefix("data: ")), model)
        except httpx.HTTPError as error:
            raise self._silent(error) from error

    def _http_call(self, method: str, path: str, *, what: str = "", **options: Any) -> Any:
        """The decoded JSON of an answer. ``what`` completes "refused ..." in the message of a refusal."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if response.is_error:
            raise self._refused(response, what or path)
        try:
            return response.json()
        except ValueError as error:
            raise UserError(f"{self.base_url}{path} is not Open WebUI: it answered no JSON", "Is the address that of the chat?") from error

    def _silent(self, error: Exception) -> UserError:
        return UserError(f"{self.base_url} does not answer: {error or type(error).__name__}", "Is the chat running, and is this its address?")

    def _refused(self, response: httpx.Response, what: str) -> UserError:
        try:
            reason = _reason(response.json())
        except ValueError:
            reason = response.text[:300] or response.reason_phrase
        return UserError(f"{self.base_url} refused {what}: {reason} (HTTP {response.status_code})")

    @contextmanager
    def _socket(self) -> Iterator[tuple[str, Events]]:
        """A connection as the browser's page holds it: its session id, and the queue that its events arrive in."""
        events: Events = queue.Queue()
        client = _Socket(reconnection=False, handle_sigint=False, request_timeout=self.timeout, websocket_extra_options=self._socket_options)
        client.on("events", events.put)
        client.on("disconnect", lambda reason: events.put({"closed": str(reason)}))
        try:
            client.connect(self.base_url, auth={"token": self.token}, transports=["websocket"], socketio_path="/ws/socket.io", wait_timeout=self.timeout)
            # Answered once the account is in the room that the events go to; without it the first words can be lost.
            if not client.call("user-join", {"auth": {"token": self.token}}, timeout=self.timeout):
                raise UserError(f"{self.base_url} refused the chat's connection: nobody is signed in")
            yield client.get_sid(), events
        except socketio.exceptions.SocketIOError as error:
            raise UserError(f"{self.base_url} refused the chat's connection: {error or 'no answer'}", "Does a proxy before it pass WebSocket on?") from error
        finally:
            client.disconnect()


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost"


class _InOrder(engineio.Client):
    """Handles messages in the order of their arrival. The original starts a thread for each, and on a busy machine words change places."""

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if target is self.handlers.get("message"):
            return target(*args, **kwargs)
        return super().start_background_task(target, *args, **kwargs)


class _Socket(socketio.Client):
    def _engineio_client_class(self) -> type[engineio.Client]:
        return _InOrder


class _Reading:
    """Reads the events of one answer. ``text`` is None until the answer is complete; times are seconds since ``start``."""

    def __init__(self, message_id: str, start: float, on_text: Callable[[str], None] | None) -> None:
        self.message_id, self.start, self.on_text = message_id, start, on_text
        self.text: str | None = None
        self.title = ""
        self.events = 0
        self.first = self.seconds = 0.0

    def take(self, event: dict[str, Any]) -> None:
        """One event; those of the account's other chats pass by. Raises UserError at an error of the engine."""
        if "closed" in event:
            raise UserError(f"the chat's connection closed before the answer was complete: {event['closed']}")
        if event.get("message_id") != self.message_id:
            return
        kind, data = event["data"]["type"], event["data"].get("data")
        if kind == "chat:title":
            self.title = data
        elif kind == "chat:tasks:cancel":
            raise UserError("the answer was cancelled")
        elif kind in ("response:completion", "chat:completion", "chat:message:error"):
            self._completion(data)
        elif kind == "chat:active" and not data["active"] and self.text is None:
            raise UserError("the turn ended without an answer")

    def _completion(self, data: dict[str, Any]) -> None:
        if data.get("error"):
            raise UserError(f"the engine reported: {_reason(data['error'])}")
        if data.get("type") == "response.output_text.delta":
            self.first = self.first or time.monotonic() - self.start
            self.events += 1
            if self.on_text:
                self.on_text(data["delta"])
        if data.get("done"):
            self.seconds = time.monotonic() - self.start
            self.text = _output_text(data.get("output") or [])


def _turn(question: str, model: str, chat: Chat | None, title: bool) -> dict[str, Any]:
    """The body that the browser posts for a turn, without its session id."""
    parent, answer = chat.last if chat else None, str(uuid.uuid4())
    words = {"role": "user", "content": question, "models": [model]}
    message = {**words, "id": str(uuid.uuid4()), "parentId": parent, "childrenIds": [], "timestamp": int(time.time())}
    return {
        "stream": True,
        "model": model,
        "params": {},
        "features": {},
        "chat_id": chat.id if chat else None,
        "parent_id": parent,
        "user_message": message,
        "id": answer,
        "message_ids": [{"model_id": model, "message_id": answer}],
        "background_tasks": {"title_generation": True} if title and not chat else {},
    }


def _output_text(output: list[dict[str, Any]]) -> str:
    """The visible text of a finished answer: its messages, without reasoning and tool calls."""
    return "".join(part.get("text", "") for item in output if item.get("type") == "message" for part in item.get("content", []))


def _piece(chunk: dict[str, Any], model: str) -> Iterator[str]:
    """The text in one chunk of a stream, if any."""
    if chunk.get("error"):
        raise UserError(f"{model} reported: {_reason(chunk['error'])}")
    for choice in chunk.get("choices", []):
        if text := choice.get("delta", {}).get("content"):
            yield text


def _reason(error: Any) -> str:
    """The sentence in an error, however deep Open WebUI and the engine wrapped it."""
    while isinstance(error, dict):
        error = next((error[key] for key in ("error", "detail", "content", "message") if error.get(key)), json.dumps(error))
    return str(error)
