"""A mail server that others wrote (aiosmtpd), as an alarm by e-mail meets one: STARTTLS before anything, then a password.
What it takes is a line of JSON on standard output, its port the first.

    smtpd.py CERTIFICATE KEY [tls]
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Inbox:
    async def handle_DATA(self, server, session, envelope):
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        print(
            json.dumps({
                "user": (session.auth_data.login.decode() if session.auth_data else None),
                "to": envelope.rcpt_tos,
                "id": letter["Message-ID"],
                "subject": letter["Subject"],
                "text": letter.get_content(),
            }),
            flush=True,
        )
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"tenet", b"hunter2")
    return AuthResult(success=right, auth_data=data if right else None, handled=right)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
wrapped = sys.argv[3:] == ["tls"]


def session() -> SMTP:
    return SMTP(
        Inbox(),
        tls_context=None if wrapped else context,
        require_starttls=not wrapped,
        authenticator=authenticate,
        auth_required=True,
        # One that speaks TLS from the start does not know it.
        auth_require_tls=not wrapped,
    )


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=context if wrapped else None)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


asyncio.run(serve())
