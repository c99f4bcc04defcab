"""Schemas and values made at random, and whether the values keep them, by the package jsonschema. One a line."""
import json, random, sys
import jsonschema

rng = random.Random(int(sys.argv[1]))
NAMES = ["a", "b", "ab", "x/y"]


def value(depth=0):
    kind = rng.randrange(8 if depth < 3 else 6)
    if kind == 0: return None
    if kind == 1: return rng.random() < 0.5
    if kind == 2: return rng.randrange(-3, 6)
    if kind == 3: return rng.choice([0.5, 1.0, -1.5, 3.0, 0.3, 1e30])
    if kind in (4, 5): return rng.choice(["", "a", "ab", "äb", "zzz", "a1"])
    if kind == 6: return [value(depth + 1) for _ in range(rng.randrange(4))]
    return {name: value(depth + 1) for name in rng.sample(NAMES, rng.randrange(4))}


def schema(depth=0):
    if rng.random() < 0.08: return rng.random() < 0.7
    made = {}
    sub = lambda: schema(depth + 1)
    several = lambda: [sub() for _ in range(rng.randrange(1, 3))]
    named = lambda: {name: sub() for name in rng.sample(NAMES, rng.randrange(3))}
    kinds = ["null", "boolean", "integer", "number", "string", "array", "object"]
    makers = {
        "type": lambda: rng.choice(kinds) if rng.random() < 0.6 else rng.sample(kinds, 3),
        "enum": lambda: [value(2) for _ in range(3)],
        "const": lambda: value(2),
        "minimum": lambda: rng.randrange(-2, 3), "maximum": lambda: rng.choice([0, 2.5, 4]),
        "exclusiveMinimum": lambda: rng.randrange(-2, 3), "exclusiveMaximum": lambda: rng.randrange(0, 5),
        "multipleOf": lambda: rng.choice([1, 2, 0.5]),
        "minLength": lambda: rng.randrange(3), "maxLength": lambda: rng.randrange(3),
        "pattern": lambda: rng.choice(["^a", "b$", "[0-9]", "^$"]),
        "minItems": lambda: rng.randrange(3), "maxItems": lambda: rng.randrange(3), "uniqueItems": lambda: rng.random() < 0.7,
        "minProperties": lambda: rng.randrange(3), "maxProperties": lambda: rng.randrange(3),
        "required": lambda: rng.sample(NAMES, rng.randrange(3)),
        "dependentRequired": lambda: {rng.choice(NAMES): rng.sample(NAMES, 1)},
    }
    if depth < 3:
        makers |= {
            "properties": named, "patternProperties": lambda: {"^a": sub()}, "additionalProperties": sub,
            "propertyNames": lambda: {"maxLength": rng.randrange(1, 4)}, "dependentSchemas": named,
            "items": sub, "prefixItems": several, "contains": sub, "allOf": several, "anyOf": several, "oneOf": several,
            "not": sub, "if": sub, "then": sub, "else": sub, "$ref": lambda: rng.choice(["#/$defs/one", "#/$defs/x~1y%20"]),
        }
    for keyword in rng.sample(sorted(makers), rng.randrange(1, 5)):
        made[keyword] = makers[keyword]()
    if "contains" in made and rng.random() < 0.5:
        made["minContains"] = rng.randrange(3)
        made["maxContains"] = rng.randrange(1, 4)
    return made


for _ in range(int(sys.argv[2])):
    one = {"$defs": {"one": schema(3), "x/y ": schema(3)}, **(lambda s: s if isinstance(s, dict) else {})(schema())}
    validator = jsonschema.Draft202012Validator(one)
    for _ in range(4):
        given = value()
        print(json.dumps({"schema": one, "value": given, "keeps": validator.is_valid(given)}))
