"""An OpenID Connect provider on this machine. It speaks the code flow with PKCE, and lies on command.

with SignInProvider() as provider:
    provider.user = {"email": "ann@shop.example", "email_verified": True}
    provider.lies = {"aud": "another shop"}
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

CLIENT, SECRET = "eci", "what only shop and provider know"


class SignInProvider:
    """``lies``: claims of the ID token that are not true; None leaves one out. ``metadata``: of the description.
    ``description``, ``refusal``, ``tokens``, ``keys``, ``token``: what it says instead of one, of a refusal, of tokens,
    of its keys, of an ID token. ``header``: more of the ID token's."""

    def __init__(self) -> None:
        self.user: dict[str, Any] = {}
        self.lies: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.status = 200
        self.description: Any = None
        self.refusal = self.tokens = self.keys = b""
        self.header: dict[str, Any] = {}
        self.token: Any = ...
        self.names_its_key = True
        self.answers: dict[str, int] = {}
        self.new_key()
        self.sign_with = "ES256"
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._answer(self, urlsplit(self.path).path, dict(parse_qs(urlsplit(self.path).query)))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider._answer(self, self.path, dict(parse_qs(body)))

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/shop"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def new_key(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._kid = secrets.token_hex(4)

    def authorize(self, address: str) -> dict[str, str]:
        """What the browser brings back from the page to which it was sent, whose user agrees."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split() and asked["client_id"] == CLIENT
        code = secrets.token_hex(8)
        self._codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def _answer(self, handler: BaseHTTPRequestHandler, path: str, given: dict[str, list[str]]) -> None:
        status, body = self._of(
            path.removeprefix("/shop"), {name: values[0] for name, values in given.items()}, handler
        )
        self.answers[path] = self.answers.get(path, 0) + 1
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _of(self, path: str, given: dict[str, str], handler: BaseHTTPRequestHandler) -> tuple[int, Any]:
        if self.status != 200:
            return self.status, {}
        if path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            found = {name: f"{self.issuer}/{place}" for name, place in places.items()}
            made = found | {"issuer": self.issuer} | self.metadata
            return 200, made if self.description is None else self.description
        if path == "/keys" and self.keys:
            return 200, self.keys
        if path == "/keys":
            numbers = self._key.public_key().public_numbers()
            point = {"x": numbers.x.to_bytes(32, "big"), "y": numbers.y.to_bytes(32, "big")}
            key = {name: base64.urlsafe_b64encode(value).rstrip(b"=").decode() for name, value in point.items()}
            return 200, {"keys": [key | {"kty": "EC", "crv": "P-256", "kid": self._kid, "use": "sig"}]}
        return self._token(given, handler.headers.get("Authorization", ""))

    def _token(self, given: dict[str, str], authorization: str) -> tuple[int, Any]:
        asked = self._codes.pop(given.get("code", ""), None)
        basic = f"Basic {base64.b64encode(f'{CLIENT}:{SECRET}'.encode()).decode()}"
        if authorization != basic and (given.get("client_id"), given.get("client_secret")) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or given["redirect_uri"] != asked["redirect_uri"] or proof != asked["code_challenge"]:
            return 400, self.refusal or {"error": "invalid_grant"}
        if self.tokens:
            return 200, self.tokens
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "4711",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
        }
        if "max_age" in asked:
            claims["auth_time"] = now
        claims = {name: value for name, value in (claims | self.user | self.lies).items() if value is not None}
        signer: Any = self._key if self.sign_with == "ES256" else {"HS256": SECRET, "none": None}[self.sign_with]
        named = {"kid": self._kid} if self.names_its_key else {}
        token = jwt.encode(claims, signer, algorithm=self.sign_with, headers=named | self.header)
        told = token if self.token is ... else self.token
        return 200, {"access_token": "unused", "token_type": "Bearer", "id_token": told}
