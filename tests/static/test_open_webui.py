"""Proves: the client reads an answer in the order of its words, without reasoning, and repeats an engine's error.

Does not prove that Open WebUI sends these events: there is no server. tests/cluster talks to a real Open WebUI.
"""

import threading
import time
from typing import Any

import pytest
from scout_chat.chat.turn import AnswerReader, Chat, error_message, request_body
from scout_chat.core.errors import UserError


def test_words_keep_their_order() -> None:
    """The thread that receives the messages handles them too. With a thread for each message any order is possible."""
    # These imports take a quarter of the time that pytest needs to collect all static tests.
    import socketio
    from engineio import packet
    from scout_chat.chat.connection import handle_messages_in_order

    handled: list[tuple[str, threading.Thread]] = []
    client = socketio.Client(reconnection=False, handle_sigint=False)
    handle_messages_in_order(client)
    client.on("events", lambda word: handled.append((word, threading.current_thread())))
    words = ["Paris", "is", "the", "capital"]
    for word in words:
        client.eio._receive_packet(packet.Packet(packet.MESSAGE, f'2["events","{word}"]'))
    assert handled == [(word, threading.current_thread()) for word in words]


def delta(text: str, kind: str = "response.output_text.delta") -> dict[str, Any]:
    return {"type": "response:completion", "data": {"type": kind, "delta": text}}


def read(*events: dict[str, Any], message_id: str = "answer") -> tuple[AnswerReader, list[str]]:
    """Give the events to a reader of the message ``answer``; return it with the pieces of text that it passed on."""
    pieces: list[str] = []
    reader = AnswerReader("answer", time.monotonic(), pieces.append)
    for event in events:
        reader.read({"message_id": message_id, "data": event})
    return reader, pieces


DONE = {
    "type": "chat:completion",
    "data": {
        "done": True,
        "output": [
            {"type": "reasoning", "content": [{"text": "The user asks for a capital."}]},
            {"type": "message", "content": [{"text": "Paris"}, {"text": "."}]},
        ],
    },
}


def test_the_answer_is_the_stored_text_without_reasoning() -> None:
    reader, pieces = read(delta("thinking", kind="response.reasoning.delta"), delta("Par"), delta("is."), DONE)
    assert (reader.text, pieces, reader.events) == ("Paris.", ["Par", "is."], 2)


def test_events_of_other_chats_are_ignored() -> None:
    reader, pieces = read(delta("Rome"), DONE, message_id="another")
    assert (reader.text, pieces) == (None, [])


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"type": "chat:message:error", "data": {"error": {"content": "context is full"}}}, "the engine reported: context is full"),
        ({"type": "chat:tasks:cancel"}, "the answer was canceled"),
        ({"type": "chat:active", "data": {"active": False}}, "the turn ended without an answer"),
    ],
)
def test_a_turn_without_an_answer_is_an_error(event: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(event)


def test_a_closed_connection_is_an_error() -> None:
    with pytest.raises(UserError, match="closed before the answer was complete: transport close"):
        AnswerReader("answer", 0, None).read({"closed": "transport close"})


def test_the_innermost_message_of_an_error_is_shown() -> None:
    assert error_message({"error": {"detail": {"message": "model not found"}}}) == "model not found"
    assert error_message({"code": 5}) == '{"code": 5}'


def test_the_next_turn_names_the_message_before_it_and_sends_no_other() -> None:
    first, second = request_body("Hi", "m", None, title=True), request_body("And now?", "m", Chat("c", "last"), title=True)
    assert (first["chat_id"], first["parent_id"], first["background_tasks"]) == (None, None, {"title_generation": True})
    assert (second["chat_id"], second["parent_id"], second["background_tasks"]) == ("c", "last", {})
    assert "messages" not in second and second["user_message"]["content"] == "And now?"
