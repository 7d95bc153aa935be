"""The part of JSON Schema that our documents use. What a schema does not name is a fault, too."""
import re


def check(schema, value, where):
    """Fails by an assertion that names the place."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    allowed = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, kinds[kind]) for kind in allowed), f"{where}: {value!r} is no {allowed}"
    if "const" in schema:
        assert value == schema["const"], where
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value}"
    if "pattern" in schema and isinstance(value, str):
        assert re.search(schema["pattern"], value), f"{where}: {value!r} is not like {schema['pattern']}"
    if isinstance(value, dict):
        for name in schema.get("required", []):
            assert name in value, f"{where}: {name} is missing"
        for name, member in value.items():
            assert name in schema["properties"], f"{where}: {name} is not documented"
            check(schema["properties"][name], member, f"{where}.{name}")
    if isinstance(value, list):
        assert len(value) >= schema.get("minItems", 0), f"{where}: {len(value)} items"
        for i, item in enumerate(value):
            check(schema["items"], item, f"{where}[{i}]")
