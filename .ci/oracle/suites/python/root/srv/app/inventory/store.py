"""Where the items are kept: a SQLite database."""

import sqlite3

SCHEMA = """
create table item (
    name text primary key check (length(name) > 0),
    count integer not null check (count >= 0),
    price numeric not null default 0
);
create table movement (
    id integer primary key,
    name text not null references item (name) on delete cascade,
    change integer not null
);
create index movement_by_name on movement (name);
"""


class Store:
    def __init__(self, path=":memory:"):
        self.database = sqlite3.connect(path)
        self.database.execute("pragma foreign_keys = on")
        self.database.executescript(SCHEMA)

    def add(self, name, count, price=0):
        with self.database:
            self.database.execute("insert into item values (?, ?, ?)", (name, count, price))

    def move(self, name, change):
        """Takes from, or adds to, what there is; never below nothing."""
        with self.database:
            self.database.execute("insert into movement (name, change) values (?, ?)", (name, change))
            self.database.execute("update item set count = count + ? where name = ?", (change, name))
        return self.count(name)

    def count(self, name):
        row = self.database.execute("select count from item where name = ?", (name,)).fetchone()
        if row is None:
            raise KeyError(name)
        return row[0]

    def remove(self, name):
        with self.database:
            return self.database.execute("delete from item where name = ?", (name,)).rowcount == 1

    def movements(self, name):
        rows = self.database.execute("select change from movement where name = ? order by id", (name,))
        return [change for (change,) in rows]

    def items(self):
        return self.database.execute("select name, count, price from item order by name").fetchall()

    def value(self):
        return self.database.execute("select coalesce(sum(count * price), 0) from item").fetchone()[0]

    def running(self, name):
        """The sum of the movements after each of them."""
        rows = self.database.execute(
            "select sum(change) over (order by id) from movement where name = ? order by id", (name,)
        )
        return [total for (total,) in rows]
