"""Who Schemathesis is while it calls: a client of an account, or an operator. Loaded by scripts/api."""

import base64
import http.client
import json
import os
import secrets
import ssl
import sys
import time
import urllib.parse

import schemathesis
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ADDRESS = os.environ["TENET_API_ADDRESS"]
HOME = os.environ["TENET_HOME"]


def _segment(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _client() -> dict:
    with open(os.environ["TENET_API_CLIENT"], encoding="utf-8") as file:
        made = json.load(file)
    return {"client_id": made["client"]["id"], "client_secret": made["secret"]}


def _operator() -> dict:
    """A signed assertion (RFC 7523), as the command line makes it."""
    with open(f"{HOME}/default.json", encoding="utf-8") as file:
        subject = json.load(file)["subject"]["id"]
    with open(f"{HOME}/default.key", "rb") as file:
        key = load_pem_private_key(file.read(), password=None)
    now = int(time.time())
    claims = {
        "iss": subject,
        "sub": subject,
        "aud": f"{ADDRESS}/v1/token",
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_urlsafe(16),
    }
    signed = f"{_segment({'alg': 'EdDSA', 'typ': 'JWT'})}.{_segment(claims)}"
    signature = base64.urlsafe_b64encode(key.sign(signed.encode())).rstrip(b"=").decode()
    return {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": f"{signed}.{signature}",
    }


@schemathesis.hook
def before_call(context, case, kwargs):
    """The caller revokes anybody but itself: it finds its own id in the list of operators, and once a link that it made has
    enrolled another administrator, nothing refuses that; all that comes after would be 401."""
    if case.operation.path == "/v1/operators/{operator}/revoke":
        with open(f"{HOME}/default.json", encoding="utf-8") as file:
            own = json.load(file)["subject"]["id"]
        if own.lower() in urllib.parse.unquote(str(case.path_parameters.get("operator", ""))).lower():
            case.path_parameters["operator"] = own[:-1]


@schemathesis.auth(refresh_interval=60)
class Token:
    """A token, renewed each minute."""

    def get(self, case, context):
        proof = _client() if os.environ["TENET_API_CALLER"] == "client" else _operator()
        form = urllib.parse.urlencode({"grant_type": "client_credentials", **proof}).encode()
        trust = ssl.create_default_context(cafile=os.environ["TENET_API_CA"])
        server = urllib.parse.urlsplit(ADDRESS)
        connection = http.client.HTTPSConnection(server.hostname, server.port, context=trust, timeout=30)
        try:
            connection.request(
                "POST", "/v1/token", form, {"Content-Type": "application/x-www-form-urlencoded"}
            )
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"no token: {answer.status} {body.decode(errors='replace')}")
            return json.loads(body)["access_token"]
        except Exception as error:
            # Schemathesis does not say why a token was not to be had.
            print(f"{time.strftime('%H:%M:%S')} {error!r}", file=sys.stderr, flush=True)
            raise
        finally:
            connection.close()

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
