"""Shows an inventory to people."""

import json


def row(name, count, price):
    if count == 0:
        return "%-12s     -" % name
    return "%-12s %5d %7.2f" % (name, count, count * price / 100)


def table(items):
    lines = [row(*item) for item in items]
    if not lines:
        return "nothing in store"
    return "\n".join(lines)


def as_json(items):
    records = [{"name": name, "count": count, "price": price} for name, count, price in items]
    return json.dumps(records, sort_keys=True)
