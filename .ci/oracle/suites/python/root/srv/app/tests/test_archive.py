import xml.etree.ElementTree as etree
import zlib

import pytest

from inventory import archive

ITEMS = [("bolt", 10, 5), ("nut & washer", 4, 2), ("M\u00fcckenschutz", 1, 900)]


def test_xml_says_what_there_is():
    assert archive.to_xml(ITEMS[:1]) == b'<inventory><item name="bolt" count="10" price="5" /></inventory>'


def test_xml_can_be_read_again():
    assert archive.from_xml(archive.to_xml(ITEMS)) == ITEMS


@pytest.mark.parametrize("text", ["", "<inventory>", "<inventory></item>", "<inventory>&nothing;</inventory>"])
def test_what_is_no_xml_is_refused(text):
    with pytest.raises(etree.ParseError):
        archive.from_xml(text)


def test_other_xml_is_refused():
    with pytest.raises(ValueError):
        archive.from_xml("<recipe/>")


@pytest.mark.parametrize("method", [b"Z", b"B", b"X"])
def test_what_is_packed_can_be_unpacked(method):
    assert archive.unpack(archive.pack(ITEMS, method)) == ITEMS


def test_packing_is_worth_it():
    assert len(archive.pack(ITEMS * 100)) < len(archive.to_xml(ITEMS * 100)) / 20


def test_damage_is_found():
    packed = bytearray(archive.pack(ITEMS))
    packed[1] ^= 1
    with pytest.raises(ValueError):
        archive.unpack(bytes(packed))


def test_what_is_cut_short_is_refused():
    with pytest.raises(zlib.error):
        archive.unpack(archive.pack(ITEMS)[:-10])


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError):
        archive.unpack(b"Q0000")
