"""A provider of identities (canaille, by Authlib) with one client and one person, in memory. Called by scripts/browser.

provider.py PORT SECRET READY: waits for the address of the server in the file READY, then serves until it is stopped.
"""

import datetime
import os
import sys
import time
from pathlib import Path

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from canaille import create_app  # noqa: E402
from canaille.app import models  # noqa: E402
from joserfc.jwk import RSAKey  # noqa: E402
from werkzeug.serving import make_server  # noqa: E402

port, secret, ready = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
while not ready.exists():
    time.sleep(0.1)
here = f"http://127.0.0.1:{port}"
key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig", "alg": "RS256"})
app = create_app({
    "SECRET_KEY": os.urandom(16).hex(),
    "SERVER_NAME": f"127.0.0.1:{port}",
    "PREFERRED_URL_SCHEME": "http",
    "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "HTMX": False, "NAME": "Example"},
    "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
})
with app.app_context():
    person = models.User(
        user_name="dana", password="correct horse battery", family_name="Diaz", given_name="Dana",
        formatted_name="Dana Diaz", emails=["dana@example.test"],
    )
    app.backend.save(person)
    client = models.Client(
        client_id="tenet", client_secret=secret, client_name="Tenet", client_uri=here,
        redirect_uris=[f"{ready.read_text().strip()}/sign-in/back"], grant_types=["authorization_code"],
        response_types=["code"], scope=["openid"], token_endpoint_auth_method="client_secret_basic",
        client_id_issued_at=datetime.datetime.now(datetime.timezone.utc),
    )
    app.backend.save(client)
    client.audience = [client]
    app.backend.save(client)
make_server("127.0.0.1", port, app, threaded=True).serve_forever()
