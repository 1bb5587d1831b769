"""What the Python package promises, as plain assertions against real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from datetime import timedelta
from pathlib import Path

import dr
from checking import CHECKS, check
from dr import _dr, errors
from nameserver import NameServer, silent
import call_checks, value_checks  # noqa: E401, F401: they add their own
import vectors

ROOT = Path(__file__).resolve().parents[2]
# What runs on every Python there is; the rest is the library's behaviour, and the same on all.
EVERYWHERE = ("call_checks", "value_checks")
if sys.argv[1:] != ["elsewhere"]:
    import doc_checks, key_checks  # noqa: E401, F401


@check
def servers_that_agree_are_found_to_agree():
    servers = {"ns1": NameServer("example.org", "192.0.2.10").start(), "ns2": NameServer("example.org", "192.0.2.10").start()}
    report = dr.check_zone("example.org", servers, depth="records")
    assert not [finding for finding in report.findings if finding.severity in ("critical", "error")], report
    names = {subject.name for subject in report.examined}
    assert any("ns1" in name for name in names), names
    # This server knows no EDNS, and says so only when everything is asked.
    codes = {finding.code for finding in dr.check_zone("example.org", servers).findings}
    assert "dns.edns_unsupported" in codes, codes


@check
def a_server_that_differs_is_critical():
    servers = {"ns1": NameServer("example.org", "192.0.2.10").start(), "ns2": NameServer("example.org", "192.0.2.99").start()}
    report = dr.check_zone("example.org", servers)
    assert report.verdict == "failed"
    finding = next(finding for finding in report.findings if finding.code == "dns.record_set_differs")
    assert finding.severity == "critical" and finding.remedy and finding.message
    assert "192.0.2.99" in str(report) and "\x1b" not in str(report) and "\x1b" in report.text(color=True)


@check
def what_is_expected_is_compared():
    address = NameServer("example.org", "192.0.2.10").start()
    expect = [{"owner": "www.example.org", "type": "A", "ttl": 60, "rdata": ["192.0.2.11"]}]
    codes = [finding.code for finding in dr.check_zone("example.org", [address], expect=expect).findings]
    assert "dns.expected_differs" in codes, codes


@check
def records_are_planned_and_nothing_is_claimed():
    address = NameServer("example.org", "192.0.2.10").start()
    wanted = [{"owner": "www.@", "type": "A", "rdata": ["198.51.100.7"]}]
    planned = dr.change_records("example.org", wanted, servers={"ns1": address}, dry_run=True)
    assert planned.changed and planned.plan["steps"] and planned.verified is None and planned.prediction["zones"] == 1
    same = [{"owner": "www.@", "type": "A", "rdata": ["192.0.2.10"]}]
    assert not dr.change_records(["example.org"], same, servers=[address], dry_run=True).changed


@check
def a_secondary_is_looked_at_and_its_configuration_is_written():
    servers = {"ns1": NameServer("example.org", "192.0.2.10").start(), "ns2": NameServer("example.org", "192.0.2.10").start()}
    promoted = dr.promote_secondary("example.org", "ns2", servers=servers, software={"ns2": "bind"})
    assert "type primary;" in promoted.configurations[0]["text"] and promoted.verified is None and not promoted.changed
    planned = dr.promote_secondary("example.org", "ns2", servers=servers, installed=True, dry_run=True)
    assert planned.changed and planned.plan["steps"] and planned.unknown == ("ns2",)


@check
def every_vector_holds_and_the_command_exits_with_the_code():
    program = Path(sys.executable).with_name("dr")

    def call(operation, settings, request):
        try:
            return "answer", dr.call_json(operation, request, settings)
        except dr.DrError as error:
            said = {"kind": error.kind, "code": error.code, "operation": error.subject, "message": error.args[0]}
            return "error", json.dumps(said)

    def command(words):
        return subprocess.run([program, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)

    assert vectors.run(call, command) > 10


@check
def a_zone_is_asked_for_and_nobody_gives_it():
    try:
        dr.transfer_zone("example.org", "127.0.0.1:9")
    except dr.UnreachableError as error:
        assert "example.org" in str(error)
    else:
        raise AssertionError("port 9 gives no zones")


@check
def nobody_there_is_a_finding_and_no_exception():
    report = dr.check_zone("example.org", ["127.0.0.1:9"])
    assert report.verdict == "failed" and "dns.no_server_answers" in [finding.code for finding in report.findings]


@check
def reports_are_values():
    report = dr.check_zone("example.org", ["127.0.0.1:9"])
    assert dr.Report.from_json(report.to_json()) == report == pickle.loads(pickle.dumps(report))
    assert len({report, dr.Report.from_json(report.to_json())}) == 1
    assert report.to_dict()["title"] == report.title and json.loads(report.to_json()) == report.to_dict()
    for attempt in (lambda: setattr(report, "title", "x"), lambda: report.findings[0].evidence.update(a=1)):
        try:
            attempt()
        except AttributeError:
            continue
        raise AssertionError("a report can be changed")
    for text in ("", "{}", "[1]", '{"title": 1}'):
        try:
            dr.Report.from_json(text)
        except ValueError:
            continue
        raise AssertionError(text)


@check
def wrong_words_are_usage_errors():
    for zone, servers in (("exa mple.org", ["127.0.0.1"]), ("example.org", {"ns1": "nowhere"}), ("example.org", ["1.2.3.4:x"])):
        try:
            dr.check_zone(zone, servers)
        except dr.UsageError as error:
            assert isinstance(error, (dr.DrError, ValueError)) and error.kind == "usage" and error.code == 2
            assert str(error).startswith("could not "), error
            again = pickle.loads(pickle.dumps(error))
            assert (type(again), str(again), again.code, again.hint) == (type(error), str(error), error.code, error.hint)
        else:
            raise AssertionError((zone, servers))
    try:
        dr.call_json("no_such")
    except dr.UsageError as error:
        assert "check_zone" in error.hint and error.subject == "call 'no_such'", error


@check
def a_tree_is_mirrored_and_the_guards_hold():
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        source, target, journal = top / "source", top / "target", top / "journal.db"
        (source / "css").mkdir(parents=True)
        (source / "index.html").write_text("<h1>shop</h1>")
        (source / "css" / "site.css").write_text("body {}")
        planned = dr.mirror(source, target, dry_run=True)
        assert planned.changed and planned.plan["steps"] and planned.run is None and not target.exists()
        try:
            dr.mirror(source, target)
        except dr.UsageError as error:
            assert "journal" in str(error)
        else:
            raise AssertionError("it changed something that is written down nowhere")
        done = dr.mirror(source, target, journal=journal, by="the tests")
        assert (done.changed, done.outcome, done.report.verdict) == (True, "new", "ok"), done
        assert (target / "css" / "site.css").read_text() == "body {}" and journal.exists()
        again = dr.mirror(source, target, journal=journal)
        assert not again.changed and again.run is None and again.summary["unchanged"] >= 2, again
        shutil.rmtree(source)
        source.mkdir()
        try:
            dr.mirror(source, target, journal=journal)
        except dr.RefusedError as error:
            assert error.hint and error.code == 10
        else:
            raise AssertionError("an emptied source emptied the target")
        assert (target / "index.html").exists()
        try:
            dr.mirror(source, "nobody@127.0.0.1:9:/srv", dry_run=True)
        except dr.DrError as error:
            assert error.code >= 2


@check
def every_option_of_a_mirror_can_be_said():
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        source, target, journal = top / "source", top / "target", top / "journal.db"
        source.mkdir()
        for name, size in {"page": 10, "big": 5000, "note.tmp": 10}.items():
            (source / name).write_text("x" * size)
        options = {
            "exclude": ["*.tmp"], "delete_excluded": True, "min_size_bytes": 1, "max_size_bytes": 1000, "min_age_s": 0,
            "max_age_s": 3600, "owners_by_name": True, "user_map": {"33": "0"}, "group_map": {}, "bytes_per_second": 10**9,
            "compress": "never", "low_priority": False,
        }
        done = dr.mirror(
            source, target, journal=journal, generations=2, winner="source", other_tree=True, fsync="each", checksum=True,
            max_delete={"percent": 50, "files": 7}, delete=True, agents={"off": True}, by="the tests", **options,
        )
        assert done.outcome == "new" and sorted(path.name for path in target.iterdir()) == ["page"], done
        assert {guard["guard"] for guard in done.guards} >= {"source", "target", "deletions"}, done.guards
        assert dr.verify_mirror(source, target, **options).verdict == "ok"
        (source / "page").write_text("another one")
        report = dr.verify_mirror(source, target, **options)
        assert [finding.code for finding in report.findings] == ["mirror.differs_after"], report
        time.sleep(1.1)
        assert dr.mirror(source, target, journal=journal, generations=2, **options).changed
        kept = dr.generations(target)
        assert [generation.is_live for generation in kept] == [True, False], kept
        live = dr.roll_back_mirror(target)
        assert live.since == kept[1].since and (target / "page").read_text() == "x" * 10
        assert dr.roll_back_mirror(target, to=kept[0].since).is_live and (target / "page").read_text() == "another one"
        # What guards refuse is shown by a dry run, and is an error otherwise.
        shutil.rmtree(source)
        source.mkdir()
        try:
            refused = dr.mirror(source, target, dry_run=True)
        except dr.RefusedError:
            pass
        else:
            assert any(guard["refused"] and guard["advice"] for guard in refused.guards), refused
        for wrong in ({"winner": "nobody"}, {"compress": "sometimes"}, {"fsync": "later"}, {"agents": {"of": True}}):
            try:
                dr.mirror(source, target, dry_run=True, **wrong)
            except dr.UsageError as error:
                assert "unknown" in str(error), error
            else:
                raise AssertionError(wrong)


@check
def sites_of_an_estate_are_mirrored_each_for_itself():
    estate = {
        "hosts": {"uk": {"ssh": "nobody@127.0.0.1:9"}, "us": {"ssh": "nobody@127.0.0.1:10"}},
        "sites": {"shop": {"home": "uk", "standby": "us", "trees": [{"path": "/srv/shop"}]}},
    }
    with tempfile.TemporaryDirectory() as directory:
        journal = Path(directory) / "journal.db"
        for dry_run in (True, False):
            done = dr.mirror_sites(estate, dry_run=dry_run, journal=journal, by="the tests")
            assert done.sites["shop"]["error"]["kind"] in ("unreachable", "host_key"), done
            assert [finding.code for finding in done.report.findings] == ["mirror.site_failed"], done.report
        assert not dr.mirror_sites(estate, every="5m", dry_run=True).sites
        try:
            dr.mirror_sites(estate, sites=["blog"])
        except dr.NotFoundError as error:
            assert "blog" in str(error)
        else:
            raise AssertionError("there is no such site")


@check
def plans_are_applied_and_runs_are_listed_and_taken_back():
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        reach = {"journal": top / "journal.db"}
        (top / "source").mkdir()
        (top / "source" / "page").write_text("one")
        planned = dr.mirror(top / "source", top / "target", dry_run=True)
        assert not (top / "target").exists()
        done = dr.apply_plan(planned.plan, by="the tests", **reach)
        assert done.outcome == "new" and (top / "target" / "page").read_text() == "one", done
        [run] = dr.list_runs(**reach)
        assert (run.run, run.outcome, dr.list_runs(done.run, **reach)) == (done.run, "new", [run]), run
        assert dr.resume_run(run.run, **reach).outcome == "new"
        for wrong in (lambda: dr.undo_run("none", **reach), lambda: dr.failover("shop", **reach)):
            try:
                wrong()
            except dr.DrError as error:
                assert error.code in (2, 18), error
            else:
                raise AssertionError("there is nothing of the kind")
        assert dr.failover_status(**reach).verdict == "ok"


@check
def what_is_said_to_seats_arrives():
    by = "00000000000000000000000000000007"
    lease = {"epoch": 4, "home": "uk", "beat": 9, "by": by, "turn": 1, "settled": True, "unacknowledged": False}
    seat = {
        "site": "shop", "host": "us", "phase": "awaiting_approval", "said": "uk is down", "standing": {"role": "standby", "epoch": 4},
        "lease": lease, "lease_age": "20s", "serves": False, "votes": [], "guards": [],
    }
    told = {"at": "2026-11-22T03:00:00Z", "site": "shop", "news": {"refused": {"why": "it is frozen"}}}
    asked = []

    def answer(question):
        asked.append(question)
        if "status" in question:
            return {"status": [seat]}
        if "history" in question:
            return {"history": [told]}
        return {"refused": {"why": "it is frozen"}} if "drill" in question["order"]["order"] else {"done": {"said": "done"}}

    class Agent(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(json.dumps(answer(json.loads(self.rfile.readline()))).encode() + b"\n")

    with tempfile.TemporaryDirectory() as directory, socketserver.UnixStreamServer(f"{directory}/agent.sock", Agent) as agent:
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        [seen] = dr.list_seats(directory, ["shop"])
        assert (seen.phase, seen.lease["epoch"], seen.to_dict()["standing"]["role"]) == ("awaiting_approval", 4, "standby"), seen
        assert [news.news["refused"]["why"] for news in dr.seat_history(directory, last=3)] == ["it is frozen"]
        assert dr.order_seat(directory, "shop", "approve", despite=["standby-healthy"], stopped=True, by="ann") == "done"
        assert dr.order_seat(directory, "shop", "hold", span=timedelta(hours=2)) == "done"
        assert asyncio.run(dr.order_seat_async(directory, "shop", "hand_over", by="ann: a new disk")) == "done"
        try:
            dr.order_seat(directory, "shop", "drill")
        except dr.RefusedError as error:
            assert "it is frozen" in str(error)
        else:
            raise AssertionError("it was refused")
        agent.shutdown()
    orders = [question["order"]["order"] for question in asked if "order" in question]
    # Without an epoch, it is the one of now that is approved.
    assert orders[0] == {"take": {"by": "ann", "epoch": 4, "despite": ["standby-healthy"], "stopped": True}}, orders
    assert orders[1:] == [{"hold": {"by": "a program", "span": "2h"}}, {"hand_over": {"by": "ann: a new disk"}}, {"drill": {"by": "a program"}}]


@check
def every_kind_of_error_has_its_class():
    for kind, code, _ in _dr.kinds():
        cls = errors.CLASSES[kind]
        record = {"kind": kind, "code": code, "operation": "test", "message": "why", "hint": "do"}
        error = errors.from_record(record)
        assert type(error) is cls and issubclass(cls, dr.DrError) and str(error) == "could not test: why", kind
        assert (error.kind, error.code, error.hint) == (kind, code, "do")
        assert cls("why").code == code, "the number is the kind's"
        assert str(pickle.loads(pickle.dumps(error))) == str(error), kind
    assert len(errors.CLASSES) == len(_dr.kinds())


@check
def a_word_that_is_none_is_a_type_error():
    for call in (lambda: dr.mirror("/a", "/b", exlude=["x"]), lambda: dr.verify_mirror("/a", "/b", winner="source"),
                 lambda: dr.verify_key("/a.pub", "root@us", identity="/a")):
        try:
            call()
        except TypeError as error:
            assert "unexpected keyword" in str(error), error
        else:
            raise AssertionError("it was taken")


@check
def the_interpreter_is_free_while_it_waits():
    quiet, address = silent()
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.wait(0.01):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    started = time.monotonic()
    dr.check_zone("example.org", [address])
    took = time.monotonic() - started
    stop.set()
    thread.join()
    quiet.close()
    # Half of the ticks that fit would do: the machine may be busy.
    assert took > 0.5 and len(ticks) > took / 0.02, (took, len(ticks))


def main() -> int:
    failed = 0
    checks = [function for function in CHECKS if function.__module__ in EVERYWHERE or sys.argv[1:] != ["elsewhere"]]
    for function in checks:
        name = function.__name__.replace("_", " ")
        try:
            function()
        except Exception:
            failed += 1
            print(f"FAILED  {name}")
            traceback.print_exc(file=sys.stdout)
        else:
            print(f"ok      {name}")
    print(f"test result: {'FAILED' if failed else 'ok'}. {len(checks) - failed} passed; {failed} failed; 0 ignored")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
