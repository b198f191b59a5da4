"""helm test: proves a person's way through the chat to the model. Standard library only.

With a password: sign in, list the models, ask one question and read the streamed answer. Where a test cannot sign in (an identity
provider, a password that was changed in the chat): the sign-in that people use is reachable, strangers are refused, and the model
answers at the address that the chat asks, with the chat's key.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

CHAT = os.environ["CHAT_URL"]
LLM = os.environ["LLM_URL"]
MODEL = os.environ["MODEL"]
ISSUER = os.environ["OIDC_ISSUER"]
QUESTION = "What is the capital of France?"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


# The chat is in the cluster, so no proxy; what the chat itself asks goes as the chat's own requests go.
INSIDE = urllib.request.build_opener(NoRedirect, urllib.request.ProxyHandler({}))
AS_THE_CHAT = urllib.request.build_opener()


def call(url, body=None, key=None, timeout=30, opener=INSIDE):
    """Open the response. An HTTP error is a response as well."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers)
    try:
        return opener.open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        return error
    except OSError as error:
        raise SystemExit(f"FAILED: {url} does not answer: {error}. Is its pod ready?") from None


def expect(response, *statuses):
    """Return the response if its status is one of these."""
    if response.status not in statuses:
        said = response.read()[:300].decode(errors="replace")
        raise SystemExit(f"FAILED: {response.url} answered {response.status} and not {' or '.join(map(str, statuses))}: {said}")
    return response


def ask(base, key, completions, opener=INSIDE):
    """Check that the model is listed and answers a streamed question, and print the answer."""
    models = [model["id"] for model in json.load(expect(call(f"{base}/models", key=key, opener=opener), 200))["data"]]
    print(f"models: {', '.join(models) or 'none'}")
    if MODEL not in models:
        sys.exit(f"FAILED: {MODEL} is not in the list. The engine may still be loading, or the router sees no engine.")
    body = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "stream": True, "temperature": 0}
    text = []
    with expect(call(completions, body, key, timeout=300, opener=opener), 200) as events:
        for line in events:
            if line.startswith(b"data: {"):
                event = json.loads(line[6:])
                if event.get("error"):
                    raise SystemExit(f"FAILED: the engine answered with an error: {event['error']}")
                for choice in event.get("choices", []):
                    delta = choice.get("delta", {})
                    text.append(delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning") or "")
    answer = "".join(text).strip()
    print(f"answer: {answer}")
    if not answer:
        sys.exit("FAILED: the answer is empty")


def try_password():
    """What the chat answers to the first administrator's first password."""
    return call(f"{CHAT}/api/v1/auths/signin", {"email": os.environ["ADMIN_EMAIL"], "password": os.environ["WEBUI_ADMIN_PASSWORD"]})


def sign_in():
    """The token of the first administrator, or nothing if the password was changed in the chat."""
    response = try_password()
    if response.status == 400:
        return None
    return json.load(expect(response, 200))["token"]


def provider():
    """Check that the chat sends people to the identity provider."""
    response = expect(call(f"{CHAT}/oauth/oidc/login"), 302, 303, 307)
    target = response.headers["Location"]
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)
    if "client_id" not in query:
        sys.exit(f"FAILED: the chat sends people to {target}, which is no sign-in of the provider {ISSUER}")
    print(f"sign-in: {target.partition('?')[0]}, back to {query.get('redirect_uri', ['nowhere'])[0]}")


expect(call(f"{CHAT}/ready"), 200)
expect(call(f"{CHAT}/api/models"), 401, 403)
print(f"{CHAT} is ready and refuses strangers")
if ISSUER:
    provider()
token = None
if os.environ["LOCAL_ACCOUNTS"] == "on":
    token = sign_in()
else:
    expect(try_password(), 403)
    print("sign-in with a password is off")
if token:
    print(f"signed in to {CHAT}")
    ask(f"{CHAT}/api", token, f"{CHAT}/api/chat/completions")
else:
    if os.environ["LOCAL_ACCOUNTS"] == "on":
        print("the administrator's password was changed in the chat, so this test cannot sign in")
    print(f"asking the model where the chat asks it: {LLM}")
    ask(LLM, os.environ["OPENAI_API_KEY"], f"{LLM}/chat/completions", AS_THE_CHAT)
print("PASSED")
