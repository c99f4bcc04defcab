import sqlite3

import pytest

from inventory.store import Store


@pytest.fixture
def store():
    store = Store()
    store.add("bolt", 10, 5)
    store.add("nut", 4, 2)
    return store


def test_what_was_added_is_there(store):
    assert store.items() == [("bolt", 10, 5), ("nut", 4, 2)]


@pytest.mark.parametrize("change, left", [(1, 11), (-1, 9), (-10, 0), (0, 10)])
def test_movements_change_the_count(store, change, left):
    assert store.move("bolt", change) == left
    assert store.movements("bolt") == [change]


def test_less_than_nothing_is_refused_and_leaves_no_trace(store):
    with pytest.raises(sqlite3.IntegrityError):
        store.move("bolt", -11)
    assert store.count("bolt") == 10
    assert store.movements("bolt") == []


@pytest.mark.parametrize("name, count", [("bolt", 1), ("", 1), ("screw", -1), ("screw", None)])
def test_what_is_wrong_is_refused(store, name, count):
    with pytest.raises(sqlite3.IntegrityError):
        store.add(name, count)


def test_nothing_moves_that_is_not_there(store):
    with pytest.raises(sqlite3.IntegrityError):
        store.move("screw", 1)


def test_what_is_not_there_has_no_count(store):
    with pytest.raises(KeyError):
        store.count("screw")


def test_what_is_removed_takes_its_movements_with_it(store):
    store.move("nut", 1)
    assert store.remove("nut")
    assert not store.remove("nut")
    assert store.movements("nut") == []


def test_the_value_is_that_of_all(store):
    assert store.value() == 58
    assert Store().value() == 0


def test_sums_run(store):
    for change in (3, -2, 5):
        store.move("nut", change)
    assert store.running("nut") == [3, 1, 6]


def test_a_store_outlives_its_process(tmp_path):
    path = str(tmp_path / "store.db")
    Store(path).add("bolt", 1)
    assert sqlite3.connect(path).execute("select count from item").fetchall() == [(1,)]
