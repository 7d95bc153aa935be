"""Whether a bill of materials is what SPDX 2.3 says one is, and hangs together."""
import json
import pathlib

from tests.system.support import json_schema

SCHEMA = json.loads(pathlib.Path(__file__).with_name("spdx.schema.json").read_text())


def check(document):
    json_schema.check(SCHEMA, document, "document")
    ids = [each["SPDXID"] for each in document["packages"]]
    assert len(ids) == len(set(ids)), "an identifier stands twice"
    known, reached = {*ids, "SPDXRef-DOCUMENT", "NOASSERTION"}, {"SPDXRef-DOCUMENT"}
    for relation in document["relationships"]:
        ends = {relation["spdxElementId"], relation["relatedSpdxElement"]}
        assert ends <= known, f"{ends - known} is described nowhere"
        assert relation["spdxElementId"] in reached, f"{relation} comes before its first end is reached"
        reached.add(relation["relatedSpdxElement"])
    assert set(ids) <= reached, f"nothing leads to {set(ids) - reached}"


def linked(document, program):
    """{(relationship, library's name)} of the one program of that file name."""
    by_id = {each["SPDXID"]: each["name"] for each in document["packages"]}
    (own,) = (identity for identity, name in by_id.items() if name == program)
    return {(each["relationshipType"], by_id.get(each["relatedSpdxElement"], each["relatedSpdxElement"]))
            for each in document["relationships"] if each["spdxElementId"] == own}
