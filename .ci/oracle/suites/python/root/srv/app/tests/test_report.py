import json

import pytest

from inventory import report


@pytest.mark.parametrize(
    "item, words",
    [(("bolt", 10, 5), ["bolt", "10", "0.50"]), (("nut", 0, 2), ["nut", "-"]), (("pipe", 3, 1999), ["pipe", "3", "59.97"])],
)
def test_a_row_says_what_there_is(item, words):
    assert report.row(*item).split() == words


def test_a_table_has_a_row_for_each():
    assert len(report.table([("bolt", 10, 5), ("nut", 4, 2)]).splitlines()) == 2


def test_an_empty_store_says_so():
    assert report.table([]) == "nothing in store"


def test_json_can_be_read_by_others():
    assert json.loads(report.as_json([("bolt", 10, 5)])) == [{"name": "bolt", "count": 10, "price": 5}]
