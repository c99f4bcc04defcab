import ssl

import pytest

from inventory import signing


@pytest.mark.parametrize(
    "algorithm, start",
    [
        ("md5", "900150983cd24fb0"),
        ("sha1", "a9993e364706816a"),
        ("sha256", "ba7816bf8f01cfea"),
        ("sha512", "ddaf35a193617aba"),
        ("sha3_256", "3a985da74fe225b2"),
        ("blake2b", "ba80a53f981c4d0d"),
    ],
)
def test_digests_are_the_known_ones(algorithm, start):
    assert signing.digest(b"abc", algorithm).startswith(start)


def test_an_unknown_algorithm_is_refused():
    with pytest.raises(ValueError):
        signing.digest(b"abc", "sha9")


def test_keys_are_the_known_ones():
    # RFC 7914, section 11.
    assert signing.key("passwd", b"salt", 1).hex().startswith("55ac046e56e3089fec1691c22544b605")


def test_a_signature_is_known_again():
    signature = signing.sign(b"ten bolts", b"secret")
    assert signing.verified(b"ten bolts", b"secret", signature)


@pytest.mark.parametrize("data, secret", [(b"nine bolts", b"secret"), (b"ten bolts", b"guess")])
def test_another_signature_is_not(data, secret):
    assert not signing.verified(data, secret, signing.sign(b"ten bolts", b"secret"))


def test_partners_must_prove_who_they_are():
    context = signing.client_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_connections_have_forward_secrecy():
    names = [cipher["name"] for cipher in signing.client_context().get_ciphers()]
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in names
    assert not [name for name in names if "RC4" in name or "NULL" in name]


def test_the_first_word_names_the_partner():
    hello = signing.hello("partner.test")
    assert hello[0] == 22
    assert b"partner.test" in hello
