"""A small client of Open WebUI that does what a person's browser does: signs in, opens a socket, asks, reads the streamed answer."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import socketio

from .errors import UserError


@dataclass(frozen=True)
class Answer:
    """What came back. ``events`` counts the pieces in which the text arrived; times are seconds."""

    text: str
    chat_id: str
    seconds: float
    seconds_to_first_text: float
    events: int


@dataclass
class Chat:
    """A conversation: the id that the server gave it, its turns, and the last message's id."""

    id: str = ""
    messages: list[dict] = field(default_factory=list)
    last: str | None = None


class WebUI:
    """One person's session. ``url`` is the chat's address without a path."""

    def __init__(self, url: str, timeout: float = 30) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=timeout, trust_env=False)

    def sign_in(self, email: str, password: str) -> str:
        """Signs in and returns the role (``admin``, ``user``, ``pending``). Raises UserError if the account is refused."""
        response = self._request("POST", "/api/v1/auths/signin", json={"email": email, "password": password})
        if response.status_code == 400:
            raise UserError(f"{self.url} does not accept the password of {email}", "Was it changed in the chat? The Secret holds the first one only.")
        body = self._checked(response)
        self.http.headers["Authorization"] = f"Bearer {body['token']}"
        self._token = body["token"]
        return body["role"]

    def models(self) -> list[str]:
        """Ids of the models that this person sees."""
        return [model["id"] for model in self._checked(self._request("GET", "/api/models"))["data"]]

    def config(self) -> dict:
        """The public configuration, and the person's own once signed in."""
        return self._checked(self._request("GET", "/api/config"))

    def add_user(self, name: str, email: str, password: str, role: str = "user") -> None:
        """An administrator's act."""
        self._checked(self._request("POST", "/api/v1/auths/add", json={"name": name, "email": email, "password": password, "role": role}))

    def chat(self, question: str, model: str, chat: Chat | None = None, title: bool = False, timeout: float = 300) -> Answer:
        """One turn of a chat, over the socket as the browser does it. ``chat`` is continued, and filled with the turn.

        Raises UserError with the engine's words if it answers with an error, or if the answer is not complete in time.
        """
        chat = chat if chat is not None else Chat()
        turn = _Turn()
        client = socketio.Client()
        client.on("events", turn.take)
        start = time.monotonic()
        client.connect(self.url, socketio_path="/ws/socket.io", auth={"token": self._token}, transports=["websocket"])
        try:
            client.emit("user-join", {"auth": {"token": self._token}})
            body = self._turn_body(question, model, chat, client.get_sid(), title)
            accepted = self._checked(self._request("POST", "/api/chat/completions", json=body))
            if not turn.done.wait(timeout):
                raise UserError(f"the answer was not complete after {timeout:.0f} s: {turn.text[:200]!r}")
        finally:
            client.disconnect()
        if turn.error:
            raise UserError(f"the engine answered with an error: {turn.error}")
        chat.id = chat.id or accepted["chat_id"]
        chat.messages += [{"role": "user", "content": question}, {"role": "assistant", "content": turn.text}]
        chat.last = body["id"]
        return Answer(turn.text, chat.id, turn.end - start, turn.first - start, turn.events)

    def complete(self, question: str, model: str, timeout: float = 300) -> str:
        """A call without a chat, as a program makes it."""
        return "".join(self.stream(question, model, timeout))

    def stream(self, question: str, model: str, timeout: float = 300) -> Iterator[str]:
        """The pieces of an answer outside any chat, as server-sent events bring them."""
        body = {"model": model, "messages": [{"role": "user", "content": question}], "stream": True}
        with self.http.stream("POST", "/api/chat/completions", json=body, timeout=timeout) as response:
            if response.status_code != 200:
                response.read()
                self._checked(response)
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    event = json.loads(line[6:])
                    if event.get("error"):
                        raise UserError(f"the engine answered with an error: {event['error']}")
                    yield from (choice["delta"].get("content") or "" for choice in event.get("choices", []) if "delta" in choice)

    def _turn_body(self, question: str, model: str, chat: Chat, session: str, title: bool) -> dict:
        user, answer = str(uuid.uuid4()), str(uuid.uuid4())
        message = {
            "id": user, "parentId": chat.last, "childrenIds": [], "role": "user", "content": question,
            "timestamp": int(time.time()), "models": [model],
        }  # fmt: skip
        body = {
            "model": model,
            "stream": True,
            "messages": [*chat.messages, {"role": "user", "content": question}],
            "session_id": session,
            "parent_id": chat.last,
            "user_message": message,
            "id": answer,
            "message_ids": [{"model_id": model, "message_id": answer}],
            "background_tasks": {"title_generation": title},
            "features": {},
            "params": {},
        }
        return body | ({"chat_id": chat.id} if chat.id else {})

    def _request(self, method: str, path: str, **options: object) -> httpx.Response:
        try:
            return self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise UserError(f"{self.url}{path}: {error or type(error).__name__}", "Is the chat's pod ready?") from error

    def _checked(self, response: httpx.Response) -> dict:
        if response.status_code != 200:
            raise UserError(f"{response.request.method} {response.request.url} answered {response.status_code}: {response.text[:300]}")
        return response.json()


class _Turn:
    """Collects the events of one answer."""

    def __init__(self) -> None:
        self.text, self.error, self.events = "", "", 0
        self.first = self.end = 0.0
        self.done = threading.Event()

    def take(self, event: dict, *_: object) -> bool:
        kind, data = event.get("data", {}).get("type"), event.get("data", {}).get("data") or {}
        if kind == "response:completion" and data.get("type") == "response.output_text.delta":
            self.first = self.first or time.monotonic()
            self.events += 1
            self.text += data["delta"]
        elif kind in ("chat:completion", "chat:message:error"):
            if data.get("error") or kind == "chat:message:error":
                self._fail(data.get("error") or data)
            elif data.get("done"):
                self._end()
        return True

    def _fail(self, error: object) -> None:
        self.error = json.dumps(error) if not isinstance(error, str) else error
        self._end()

    def _end(self) -> None:
        self.end = time.monotonic()
        self.done.set()
