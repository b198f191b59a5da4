"""One turn of a chat: what the browser posts for a question, and what it reads from the server's events.

Open WebUI keeps the conversation. For a turn of a stored chat the browser sends the new message and the ids. The server
adds the earlier messages.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from scout_chat.core.errors import UserError


@dataclass(frozen=True)
class Chat:
    """A stored chat, and the id of the message that its next turn follows."""

    id: str
    last: str


@dataclass(frozen=True)
class Answer:
    """The answer to one turn, as the server stores it and the page shows it. Times are seconds since the question.

    ``seconds_to_first_text`` does not count reasoning as text. It equals ``seconds`` if nothing was streamed.
    ``events`` counts the pieces of text that were streamed. ``title`` is empty unless it was requested.
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


def request_body(question: str, model: str, chat: Chat | None, title: bool) -> dict[str, Any]:
    """Return the body that the browser posts for a turn, without its session id. Its ``id`` is that of the answer."""
    parent, answer = chat.last if chat else None, str(uuid.uuid4())
    message = {
        "role": "user",
        "content": question,
        "models": [model],
        "id": str(uuid.uuid4()),
        "parentId": parent,
        "childrenIds": [],
        "timestamp": int(time.time()),
    }
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


class AnswerReader:
    """Reads the events of one answer.

    ``text`` is None until the answer is complete. Times are seconds since ``start``, which is of time.monotonic().
    """

    def __init__(self, message_id: str, start: float, on_text: Callable[[str], None] | None) -> None:
        self.message_id, self.start, self.on_text = message_id, start, on_text
        self.text: str | None = None
        self.title = ""
        self.events = 0
        self.seconds_to_first_text = self.seconds = 0.0

    def read(self, event: dict[str, Any]) -> None:
        """Read one event. Events of the account's other chats are ignored.

        Raises UserError if the engine reports an error, the turn ends without an answer, or the connection closes.
        """
        if "closed" in event:
            raise UserError(f"the chat's connection closed before the answer was complete: {event['closed']}")
        if event.get("message_id") != self.message_id:
            return
        kind, data = event["data"]["type"], event["data"].get("data")
        if kind == "chat:title":
            self.title = data
        elif kind == "chat:tasks:cancel":
            raise UserError("the answer was canceled")
        elif kind in ("response:completion", "chat:completion", "chat:message:error"):
            self._read_completion(data)
        elif kind == "chat:active" and not data["active"] and self.text is None:
            raise UserError("the turn ended without an answer")

    def _read_completion(self, data: dict[str, Any]) -> None:
        if data.get("error"):
            raise UserError(f"the engine reported: {error_message(data['error'])}")
        if data.get("type") == "response.output_text.delta":
            self.seconds_to_first_text = self.seconds_to_first_text or time.monotonic() - self.start
            self.events += 1
            if self.on_text:
                self.on_text(data["delta"])
        if data.get("done"):
            self.seconds = time.monotonic() - self.start
            self.text = _visible_text(data.get("output") or [])


def _visible_text(output: list[dict[str, Any]]) -> str:
    """Return the text of a complete answer's messages, without reasoning and tool calls."""
    return "".join(part.get("text", "") for item in output if item.get("type") == "message" for part in item.get("content", []))


def chunk_text(chunk: dict[str, Any], model: str) -> Iterator[str]:
    """Yield the text in one chunk of a streamed completion. Raises UserError if the chunk is an error."""
    if chunk.get("error"):
        raise UserError(f"{model} reported: {error_message(chunk['error'])}")
    for choice in chunk.get("choices", []):
        if text := choice.get("delta", {}).get("content"):
            yield text


def error_message(error: Any) -> str:
    """Return the innermost message of an error that Open WebUI and the engine wrapped in objects."""
    while isinstance(error, dict):
        error = next((error[key] for key in ("error", "detail", "content", "message") if error.get(key)), json.dumps(error))
    return str(error)
