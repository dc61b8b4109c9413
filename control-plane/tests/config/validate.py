"""Validates documents against a schema with PyPI's jsonschema, which nobody here wrote.

Standard input holds {"schema": …, "documents": […]}. Standard output gets {"documents": [[fault, …], …], "schema":
[fault, …]}: what is wrong with each document, and which defaults and examples in the schema break their own part of it.
"""

import json
import sys

from jsonschema import Draft202012Validator


def faults(validator, document):
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]


def parts(schema, path="$"):
    """Every schema inside of a schema, with its path."""
    if isinstance(schema, dict):
        yield path, schema
    children = schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    for key, child in children:
        if key not in ("default", "examples", "enum"):
            yield from parts(child, f"{path}.{key}")


def main():
    request = json.load(sys.stdin)
    schema = request["schema"]
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    own = []
    for path, part in parts(schema):
        values = list(part["examples"]) if isinstance(part.get("examples"), list) else []
        values += [part["default"]] if "default" in part and not isinstance(part["default"], dict) else []
        for value in values:
            own += [f"{path}: {fault}" for fault in faults(validator.evolve(schema=part), value)]
    documents = [faults(validator, document) for document in request["documents"]]
    json.dump({"documents": documents, "schema": own}, sys.stdout)


main()
