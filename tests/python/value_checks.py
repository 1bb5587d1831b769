"""What goes in and comes out: values, words that are wrong, and that nothing of a request or an answer is missing in Python."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import pickle
import re
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dr
from checking import check, raises
from dr import values

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 11, 22, 3, 0, 0, 500000, timezone.utc)

# Fields that Python says in words of its own.
SAID = {
    ("mirror", "owners"): "owners_by_name",
    ("verify_mirror", "owners"): "owners_by_name",
    ("install_key", "allow"): "restrict",
    ("trust_host", "known_hosts"): "add_to",
    ("certify_key", "from"): "sources",
    ("failover", "from"): "source",
}
# Fields of a request that two operations share, which mean nothing to this one.
MEANINGLESS = {
    "verify_mirror": {"by", "checksum", "delete", "dry_run", "fsync", "generations", "max_delete", "other_tree", "winner"},
    "generations": {"to"},
}


def schema(name: str) -> dict:
    return json.loads((ROOT / "docs" / "schema" / f"{name}.json").read_text())


def operations() -> list[tuple[str, str, str]]:
    """Name, request and answer, as docs/PARITY.md has them."""
    rows = (ROOT / "docs" / "PARITY.md").read_text().splitlines()
    found = [re.match(r"\| `(\w+)` \| \[(\w+)\]\S+ \| \[(\w+)\]", row) for row in rows]
    return [row.groups() for row in found if row]


def words(function) -> set[str]:
    """What a function can be told, the keywords that it shares with others among it."""
    found = set()
    for parameter in inspect.signature(function).parameters.values():
        shared = re.fullmatch(r"Unpack\[(\w+)\]", str(parameter.annotation))
        found |= set(getattr(dr, shared[1]).__annotations__) if shared else {parameter.name}
    return found


@check
def every_field_of_a_request_can_be_said():
    rows = operations()
    assert [name for name, _, _ in rows] == dr.operations(), "docs/PARITY.md is old"
    for name, request, _ in rows:
        for function in (getattr(dr, name), getattr(dr, f"{name}_async")):
            known = words(function) | MEANINGLESS.get(name, set())
            for field in schema(request).get("properties", {}):
                assert SAID.get((name, field), field) in known, f"dr.{name} cannot be told {field!r} (docs/schema/{request}.json)"


# What a call is about may be said in order; how it is done is said by name only.
OBJECTS = set(
    "agent authority bearer certificate directory estate key name names new keys old order path plan rdata remote remotes run "
    "server servers sets site sites source standby target to type owner zone zones".split()
)


@check
def options_are_said_by_name():
    for name in dr.operations():
        for parameter in inspect.signature(getattr(dr, name)).parameters.values():
            assert parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or parameter.name in OBJECTS, f"dr.{name}: {parameter}"
            assert parameter.kind is not parameter.VAR_POSITIONAL, name


@check
def every_field_of_an_answer_is_there():
    seen = 0
    for _, _, answer in operations():
        shape = schema(answer)
        kind = getattr(dr, shape["title"], None)
        if dataclasses.is_dataclass(kind):
            missing = set(shape["properties"]) - {field.name for field in dataclasses.fields(kind)}
            assert not missing, f"dr.{kind.__name__} has no {missing} (docs/schema/{answer}.json)"
            seen += 1
    assert seen > 5


SAMPLES = [
    dr.Event.from_dict({"event": "progress", "phase": "copy", "done": 1, "total": None, "unit": "files"}),
    dr.Run(run="07" * 8, title="mirror", at=AT, outcome=dr.Outcome.STOPPED),
    dr.Subject("host", "uk"),
    dr.Finding("dns.no_soa", dr.Severity.ERROR, dr.Subject("zone", "a.test"), "said", "do", values.Values({"serial": "1"})),
    dr.Generation(since=AT, is_live=True),
    dr.HeldKey("ssh-ed25519 AAAA", "SHA256:x", "ssh-ed25519", 256, "me"),
    dr.IssuedCertificate(1, True, "uk", ("uk.example.net",), "ssh-ed25519 AAAA", AT, AT),
    values.Values({"one": [1, {"two": 2}]}),
    dr.Estate(hosts={"uk": {"ssh": "root@uk.example.net"}}),
    dr.Plan({"title": "wait", "at": "2026-11-22T03:00:00Z", "on_failure": "stop", "steps": []}),
]


@check
def answers_are_values():
    report = dr.check_zone("example.org", ["127.0.0.1:9"])
    done = dr.Done(changed=True, report=report, run="07" * 8, outcome=dr.Outcome.NEW)
    mirrored = dr.Mirrored(True, values.Values({"created": 1}), report, guards=(values.Values({"guard": "source"}),))
    for value in [*SAMPLES, report, *report.findings, *report.examined, *report.unexamined, done, mirrored]:
        assert pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value), value
        assert len({value, copy.copy(value)}) == 1 and type(value).__name__ in repr(value) or isinstance(value, values.Values)
        assert value != "something else"
        for name in ("title", "code", "anything"):
            with raises(AttributeError):
                setattr(value, name, 1)
        if hasattr(value, "to_json"):
            kind = type(value)
            assert kind.from_json(value.to_json()) == value == kind.from_dict(value.to_dict()), value
            assert json.loads(value.to_json()) == value.to_dict()
    for kind in (dr.Done, dr.Run, dr.Plan, dr.Estate, dr.Report):
        for wrong in ("", "[1]", '{"titel": 1}', "1", "nothing"):
            with raises((ValueError, KeyError)):
                kind.from_json(wrong)


@check
def an_estate_comes_from_a_file_a_mapping_or_code():
    text = '[hosts.uk]\nssh = "root@uk.example.net"\n[hosts.us]\nssh = "root@us.example.net"\n'
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "dr.toml"
        path.write_text(text)
        estate = dr.Estate.from_file(path)
        path.write_text("[hosts.uk]\nshs = 1\nadress = 2\n")
        with raises(dr.UsageError) as caught:
            dr.Estate.from_file(path)
        # Every mistake at once.
        assert "dr.toml" in str(caught.error) and "shs" in str(caught.error) and "adress" in str(caught.error), caught.error
        with raises(FileNotFoundError) as caught:
            dr.Estate.from_file(Path(directory) / "none.toml")
        assert caught.error.errno == 2 and caught.error.hint
    hosts = {"uk": {"ssh": "root@uk.example.net"}, "us": {"ssh": "root@us.example.net"}}
    assert estate == dr.Estate(hosts=hosts) == dr.Estate({"hosts": hosts}) == dr.Estate.from_toml(text)
    assert set(estate["hosts"]) == {"uk", "us"} and dr.Estate.from_dict(estate.to_dict()) == estate
    # It goes wherever a mapping goes.
    assert dr.mirror_sites(estate, dry_run=True).sites == dr.mirror_sites(estate.to_dict(), dry_run=True).sites == {}
    assert dr.failover_status(estate=estate).verdict == "ok"


@check
def what_python_has_a_type_for_goes_in_as_that():
    plain = values.plain
    assert plain(timedelta(hours=1)) == "3600s" and plain(timedelta(seconds=0.25)) == "250ms" and plain(Path("/srv")) == "/srv"
    assert plain(AT) == "2026-11-22T03:00:00.5Z" and plain({"at": (AT,)}) == {"at": ["2026-11-22T03:00:00.5Z"]}
    assert plain(dr.Severity.ERROR) == "error" and plain(SAMPLES[1])["outcome"] == "stopped"
    east = AT.astimezone(timezone(timedelta(hours=5)))
    assert plain(east) == plain(AT) and values.instant(plain(east)) == AT
    with raises(ValueError):
        plain(datetime(2026, 1, 1))
    for wrong in (b"bytes", object(), 1j):
        with raises(TypeError):
            plain(wrong)


@check
def grades_go_from_well_to_bad():
    order = [dr.Severity(word) for word in ("info", "notice", "warning", "error", "critical")]
    assert sorted(reversed(order)) == order and order[4] > "error" >= order[3] and not order[4] < "error"
    assert dr.Verdict.OK < dr.Verdict.DEGRADED <= "degraded" < dr.Verdict.FAILED
    with raises(ValueError):
        dr.Severity.ERROR < "dreadful"
    report = dr.check_zone("example.org", ["127.0.0.1:9"])
    assert [finding.code for finding in report.findings if finding.severity >= "critical"] == ["dns.no_server_answers"]
    # A document of one kind is none of another, and reads like a mapping.
    assert report["title"] == report.title and set(report) >= {"at", "findings"} and report != report.to_dict()


@check
def bad_words_are_typed_errors_and_nothing_breaks():
    nul, lone = "/srv/a\0b", "/srv/\udc80"
    for wrong in (
        lambda: dr.mirror(nul, "/tmp/x", dry_run=True),
        lambda: dr.mirror(lone, "/tmp/x", dry_run=True),
        lambda: dr.mirror(1, 2, dry_run=True),
        lambda: dr.check_zone("exa\0mple.org", ["192.0.2.1"]),
        lambda: dr.check_zone("example.org", ["192.0.2.1\0"]),
        lambda: dr.check_zone("", []),
        lambda: dr.check_zone("example.org", []),
        lambda: dr.generate_key("/nowhere/\0", no_passphrase=True),
        lambda: dr.call_json("check_zone", "{"),
        lambda: dr.call_json("check_zone", "[]"),
        lambda: dr.call_json("check_zone", "{}" * 2),
        lambda: dr.call_json("check_zone", "[" * 100_000),
        lambda: dr.call_json("check\0zone"),
        lambda: dr.call_json("list_runs", "{}", '{"journal": 1}'),
        lambda: dr.call_json("list_runs", "{}", "nonsense"),
        lambda: dr.Estate.from_toml("[" * 100_000),
        lambda: dr.Estate(hosts={"\0": {}}),
        lambda: dr.apply_plan({"title": "none"}),
        lambda: dr.Estate.from_file(nul),
    ):
        with raises((dr.DrError, ValueError)) as caught:
            wrong()
        if isinstance(caught.error, dr.DrError):
            assert caught.error.kind != "internal" and str(caught.error).startswith("could not "), caught.error
    for wrong in (
        lambda: dr.check_zone(b"example.org", ["192.0.2.1"]),
        lambda: dr.check_zone("example.org", "192.0.2.1"),
        lambda: dr.call_json(1),
        lambda: dr.call_json("check_zone", b"{}"),
        lambda: dr.mirror("/a", "/b", exlude=["x"]),
    ):
        with raises(TypeError):
            wrong()


@check
def a_gigabyte_is_too_much_and_says_so():
    huge = "x" * ((1 << 30) + 1)
    with raises(dr.UsageError) as caught:
        dr.call_json("check_zone", huge)
    assert "1073741825 bytes" in str(caught.error), caught.error
