"""Identity-Aware Proxy's part: real ES256 keys, their public list, and the tokens it would sign."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

AUDIENCE = "/projects/123/locations/us-west2/services/on-call"
NORA, VIC = "nora@example.com", "vic@example.com"


@dataclass
class IapSigner:
    """Signs with the newest of its keys; `rotate` adds one and forgets the oldest."""

    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    _key_count: int = 0

    def __post_init__(self) -> None:
        self.rotate()

    def rotate(self) -> None:
        self.keys = dict(list(self.keys.items())[-1:])
        self._key_count += 1
        self.keys[f"key-{self._key_count}"] = ec.generate_private_key(ec.SECP256R1())

    def public_jwks(self) -> dict[str, Any]:
        """What IAP_KEYS_URL answers."""
        jwk_by_id = {kid: json.loads(ECAlgorithm.to_jwk(key.public_key())) for kid, key in self.keys.items()}
        return {"keys": [{**jwk, "kid": kid, "alg": "ES256", "use": "sig"} for kid, jwk in jwk_by_id.items()]}

    def claims(self, email: str = NORA, issued_at: datetime | None = None, **changes: Any) -> dict[str, Any]:
        issued_at = issued_at or datetime.now(UTC)
        defaults = {
            "iss": "https://cloud.google.com/iap",
            "aud": AUDIENCE,
            "sub": f"accounts.google.com:{email}",
            "email": email,
            "iat": int(issued_at.timestamp()),
            "exp": int((issued_at + timedelta(minutes=10)).timestamp()),
        }
        return {name: value for name, value in {**defaults, **changes}.items() if value is not None}

    def sign(self, email: str = NORA, issued_at: datetime | None = None, kid: str | None = None, **changes: Any) -> str:
        kid = kid or list(self.keys)[-1]
        return jwt.encode(self.claims(email, issued_at, **changes), self.keys[kid], "ES256", {"kid": kid})
