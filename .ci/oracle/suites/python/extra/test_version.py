"""Tests that are only for the library that they were written for."""

import ssl
import subprocess

import pytest

WRITTEN_FOR = "1.1.1w-0+deb11u1"


def version(package):
    return subprocess.check_output(["dpkg-query", "-W", "-f", "${Version}", package]).decode()


def test_the_library_is_of_the_known_series():
    assert ssl.OPENSSL_VERSION.startswith("OpenSSL 1.1.1")


@pytest.mark.skipif(version("libssl1.1") != WRITTEN_FOR, reason="written for libssl1.1 " + WRITTEN_FOR)
def test_only_with_the_known_library():
    assert ssl.create_default_context().get_ciphers()
