"""A client of Open WebUI (0.12.4) that calls the same API as a person's browser, and as a script.

The browser posts a turn over HTTP and receives the words of the answer over socket.io.
"""

import json
import queue
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from scout_chat.chat.connection import connect, is_local
from scout_chat.chat.turn import Answer, AnswerReader, Chat, chunk_text, error_message, request_body
from scout_chat.core.errors import UserError


class WebUI:
    """Open WebUI at ``base_url``, for one account.

    ``timeout``: seconds for each request that does not wait for an engine. Every method but ``health`` raises UserError
    if the server does not answer, refuses, or reports an engine's error.
    """

    def __init__(self, base_url: str, timeout: float = 60) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.token = ""
        self._http = httpx.Client(base_url=self.base_url, timeout=timeout, trust_env=not is_local(self.base_url))

    def health(self) -> bool:
        """Return whether the server answers that it is healthy. It may still know no models."""
        try:
            return self._http.get("/health").is_success
        except httpx.HTTPError:
            return False

    def sign_in(self, email: str, password: str) -> "WebUI":
        """Sign this client in and return it. Open WebUI allows an account 15 sign-ins in 3 minutes."""
        answer = self._call("POST", "/api/v1/auths/signin", json={"email": email, "password": password}, what=f"to sign in {email}")
        return self.use(answer["token"])

    def use(self, token: str) -> "WebUI":
        """Sign this client in with a token from elsewhere (single sign-on), and return it."""
        self.token = token
        self._http.headers["Authorization"] = f"Bearer {token}"
        return self

    def add_user(self, name: str, email: str, password: str, role: str = "user") -> None:
        """Create an account. The signed-in account must be an administrator."""
        self._call("POST", "/api/v1/auths/add", json={"name": name, "email": email, "password": password, "role": role}, what=f"to add {email}")

    def change_password(self, email: str, old: str, new: str) -> None:
        """Change the signed-in account's password, which ends its sessions, and sign it in again."""
        self._call("POST", "/api/v1/auths/update/password", json={"password": old, "new_password": new}, what="to change the password")
        self.sign_in(email, new)

    def write(self, text: str) -> None:
        """Store a conversation with one question, as the browser does before the answer arrives."""
        message: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "parentId": None,
            "childrenIds": [],
            "role": "user",
            "content": text,
            "timestamp": int(time.time()),
        }
        history = {"messages": {message["id"]: message}, "currentId": message["id"]}
        self._call("POST", "/api/v1/chats/new", json={"chat": {"title": text, "models": [], "history": history, "messages": [message]}})

    def questions(self) -> list[str]:
        """Return every question of the signed-in account, from all of its conversations."""
        chats = [self._call("GET", f"/api/v1/chats/{item['id']}")["chat"] for item in self._call("GET", "/api/v1/chats/")]
        return [message["content"] for item in chats for message in item["history"]["messages"].values() if message["role"] == "user"]

    def config(self) -> dict[str, Any]:
        """Return the configuration that the page reads; a signed-in account sees more of it."""
        config: dict[str, Any] = self._call("GET", "/api/config")
        return config

    def models(self) -> list[str]:
        """Return the ids of the models that this account may choose, in the order of the page's list."""
        return [model["id"] for model in self._call("GET", "/api/models")["data"]]

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
        """Ask as the browser does: the first turn of a new chat, or the next turn of ``chat``.

        ``on_text`` receives each piece of the answer as it arrives. ``title`` lets the engine name a new chat, as the
        browser's first turn does, and waits for the name. ``timeout``: seconds for the whole turn.
        """
        body = request_body(question, model, chat, title)
        with connect(self.base_url, self.token, self.timeout) as (session_id, events):
            start = time.monotonic()
            posted = self._call("POST", "/api/chat/completions", json={**body, "session_id": session_id}, what=f"a question to {model}", timeout=timeout)
            reader = AnswerReader(body["id"], start, on_text)
            while reader.text is None or (title and not chat and not reader.title):
                try:
                    reader.read(events.get(timeout=max(0.0, start + timeout - time.monotonic())))
                except queue.Empty:
                    missing = "title" if reader.text is not None else "complete answer"
                    raise UserError(f"{self.base_url}: no {missing} from {model} within {timeout:.0f} s ({reader.events} pieces of text arrived)") from None
        return Answer(
            text=reader.text,
            chat=Chat(posted["chat_id"], body["id"]),
            seconds=reader.seconds,
            seconds_to_first_text=reader.seconds_to_first_text or reader.seconds,
            events=reader.events,
            title=reader.title,
        )

    def complete(self, question: str, model: str, *, timeout: float = 600) -> str:
        """Ask as a script does, outside any chat, and return the whole answer."""
        body = {"model": model, "stream": False, "messages": [{"role": "user", "content": question}]}
        answer = self._call("POST", "/api/chat/completions", json=body, what=f"a question to {model}", timeout=timeout)
        if not answer.get("choices"):
            raise UserError(f"{model} at {self.base_url}: {error_message(answer)}")
        text: str | None = answer["choices"][0]["message"]["content"]
        return text or ""

    def stream(self, question: str, model: str, *, timeout: float = 600) -> Iterator[str]:
        """Ask as a script does, outside any chat, and yield the pieces of the answer.

        ``timeout``: seconds between two pieces.
        """
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": question}]}
        try:
            with self._http.stream("POST", "/api/chat/completions", json=body, timeout=timeout) as response:
                if response.is_error:
                    response.read()
                    raise self._refused(response, f"a question to {model}")
                for line in response.iter_lines():
                    if line.startswith("data: {"):
                        yield from chunk_text(json.loads(line.removeprefix("data: ")), model)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _call(self, method: str, path: str, *, what: str = "", **options: Any) -> Any:
        """Return the decoded JSON of the response. ``what`` completes "refused ..." in the message of a refusal."""
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise self._refused(response, what or path)
        try:
            return response.json()
        except ValueError as error:
            raise UserError(f"{self.base_url}{path} is not Open WebUI: the response is not JSON", "Is this the chat's address?") from error

    def _unreachable(self, error: Exception) -> UserError:
        return UserError(f"{self.base_url} does not answer: {error or type(error).__name__}", "Is the chat running, and is this its address?")

    def _refused(self, response: httpx.Response, what: str) -> UserError:
        try:
            reason = error_message(response.json())
        except ValueError:
            reason = response.text[:300] or response.reason_phrase
        return UserError(f"{self.base_url} refused {what}: {reason} (HTTP {response.status_code})")
