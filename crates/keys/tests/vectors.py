"""Known answers for the formats in docs/keys.md, computed apart from the product's own code.

Run with Python 3 and the `cryptography` package; prints what `src/vectors.rs` freezes.
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA-512 (RFC 5869)."""
    prk = hmac.new(salt or bytes(64), secret, hashlib.sha512).digest()
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([count]), hashlib.sha512).digest()
        out, count = out + block, count + 1
    return out[:length]


def prefixed(domain: bytes, *components: bytes) -> bytes:
    return domain + b"".join(struct.pack(">I", len(c)) + c for c in components)


def header(secret: bytes, salt: bytes, label: bytes, aad: bytes) -> tuple[bytes, bytes]:
    okm = hkdf(secret, salt, label + aad, 64)
    return okm[:32], b"\x01" + salt + okm[32:]


def seal(secret: bytes, salt: bytes, label: bytes, aad: bytes, plain: bytes) -> bytes:
    key, head = header(secret, salt, label, aad)
    return head + AESGCM(key).encrypt(bytes(12), plain, aad)


def stream(secret: bytes, salt: bytes, aad: bytes, plain: bytes) -> bytes:
    key, out = header(secret, salt, b"tenet stream 1\0", aad)
    chunks = [plain[at : at + 65536] for at in range(0, len(plain), 65536)] or [b""]
    for index, chunk in enumerate(chunks):
        nonce = bytes(3) + struct.pack(">Q", index) + bytes([index + 1 == len(chunks)])
        out += AESGCM(key).encrypt(nonce, chunk, aad)
    return out


# The inputs of src/samples.rs: key and id of one repeated byte, salt the first 32 bytes of
# SHA-512 of a 64-bit zero.
SECRET, KEY_ID = bytes([5]) * 32, bytes([5]) * 16
SALT = hashlib.sha512(bytes(8)).digest()[:32]
AAD = prefixed(
    b"tenet binding 1\0",
    bytes([1]) * 16,
    bytes([2]) * 16,
    b"confidential",
    b"record",
    bytes([3]) * 16,
    b"body",
    struct.pack(">Q", 7),
    KEY_ID,
)
PLAIN = bytes(n % 251 for n in range(65536 + 17))

print("message", seal(SECRET, SALT, b"tenet message 1\0", AAD, b"value").hex())
print("stream", hashlib.sha256(stream(SECRET, SALT, AAD, PLAIN)).hexdigest())
print("empty stream", stream(SECRET, SALT, AAD, b"").hex())
commit_key = hkdf(SECRET, b"", b"tenet commit 1\0" + KEY_ID, 32)
print("commit", hmac.new(commit_key, prefixed(b"", b"body", b"value"), hashlib.sha256).hexdigest())
index_info = b"tenet index 1\0" + prefixed(b"", bytes([1]) * 16, bytes([2]) * 16, b"email")
index_key = hkdf(SECRET, b"", index_info, 32)
print("index", hmac.new(index_key, b"ann@example.com", hashlib.sha256).hexdigest()[:32])
print("file wrap", seal(SECRET, SALT, b"tenet provider wrap 1\0", b"purpose", bytes([42]) * 32).hex())
