"""helm test: sign in to the chat, list the models, ask one question and read the streamed answer. Standard library only."""

import json
import os
import sys
import urllib.error
import urllib.request

URL = os.environ["CHAT_URL"]
MODEL = os.environ["MODEL"]


def call(method, path, body=None, token=None, timeout=30):
    """Opens the response; an HTTP error carries the first part of the body in its message."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        return urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"FAILED {method} {path}: {error.code} {error.read()[:300].decode(errors='replace')}") from None
    except OSError as error:
        raise SystemExit(f"FAILED {method} {path}: {error}. Is the chat's pod ready?") from None


def sign_in():
    body = {"email": os.environ["ADMIN_EMAIL"], "password": os.environ["ADMIN_PASSWORD"]}
    try:
        return json.load(call("POST", "/api/v1/auths/signin", body))["token"]
    except SystemExit as error:
        raise SystemExit(
            f"{error}\nThe first account signs in with the password of its Secret. If it was changed in the chat, this test cannot sign in."
        ) from None


def ask(token, question):
    """The answer's text, from the server-sent events of a streamed completion."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "stream": True}
    text = []
    with call("POST", "/api/chat/completions", body, token, timeout=300) as events:
        for line in events:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if event.get("error"):
                    raise SystemExit(f"FAILED: the engine answered with an error: {event['error']}")
                for choice in event.get("choices", []):
                    text.append(choice.get("delta", {}).get("content") or "")
    return "".join(text).strip()


token = sign_in()
print(f"signed in to {URL}")
models = [model["id"] for model in json.load(call("GET", "/api/models", token=token))["data"]]
print(f"models: {', '.join(models) or 'none'}")
if MODEL not in models:
    sys.exit(f"FAILED: {MODEL} is not in the list. The engine may still be loading, or the router sees no engine.")
answer = ask(token, "What is the capital of France?")
print(f"answer: {answer}")
if not answer:
    sys.exit("FAILED: the answer is empty")
print("PASSED")
