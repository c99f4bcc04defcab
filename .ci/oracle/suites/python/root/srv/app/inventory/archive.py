"""Packs inventories for the road: XML, compressed, with a checksum."""

import bz2
import lzma
import struct
import xml.etree.ElementTree as etree
import zlib

METHODS = {b"Z": zlib, b"B": bz2, b"X": lzma}


def to_xml(items):
    root = etree.Element("inventory")
    for name, count, price in items:
        etree.SubElement(root, "item", name=name, count=str(count), price=str(price))
    return etree.tostring(root)


def from_xml(text):
    root = etree.fromstring(text)
    if root.tag != "inventory":
        raise ValueError("no inventory: <%s>" % root.tag)
    return [(item.get("name"), int(item.get("count")), int(item.get("price"))) for item in root]


def pack(items, method=b"Z"):
    text = to_xml(items)
    return method + struct.pack(">I", zlib.crc32(text)) + METHODS[method].compress(text)


def unpack(data):
    method, checksum = data[:1], struct.unpack(">I", data[1:5])[0]
    if method not in METHODS:
        raise ValueError("unknown method %r" % method)
    text = METHODS[method].decompress(data[5:])
    if zlib.crc32(text) != checksum:
        raise ValueError("damaged")
    return from_xml(text)
