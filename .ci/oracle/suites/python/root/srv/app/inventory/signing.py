"""Signs what leaves the house, and knows how it may be spoken to."""

import hashlib
import hmac
import ssl


def digest(data, algorithm="sha256"):
    return hashlib.new(algorithm, data).hexdigest()


def key(password, salt, rounds=1000):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)


def sign(data, secret):
    return hmac.new(secret, data, "sha256").hexdigest()


def verified(data, secret, signature):
    return hmac.compare_digest(sign(data, secret), signature)


def client_context(authorities=None):
    """What a connection to a partner must fulfil."""
    context = ssl.create_default_context(cadata=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def hello(name):
    """The first bytes that a client sends to the partner of this name."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = client_context().wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()
