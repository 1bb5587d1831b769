"""Keys: made, brought to hosts, proved, exchanged, taken out, and who can log in where.

No function takes a secret. Passphrases and passwords are named by files that only their owner can read; the ``/dev/fd/N`` of a
pipe will do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping

from ._calls import Reach, call
from .plans import Done
from .report import Report
from .values import Answer, Path, Span, instant, tuple_of

if TYPE_CHECKING:
    from ._calls import Unpack


@dataclass(frozen=True)
class GeneratedKey(Answer):
    """A key pair that was, or with ``dry_run`` would be, made.

    >>> import dr
    >>> dr.generate_key("another", no_passphrase=True, dry_run=True)
    GeneratedKey(path='another', public_path='another.pub', public_key=None, fingerprint=None)
    """

    path: str
    public_path: str
    public_key: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True)
class AuditedKeys(Answer):
    """Who can log in as whom, where, and what is wrong with that.

    >>> import dr
    >>> audited = dr.audit_keys(file="authorized_keys")
    >>> [access["comment"] for access in audited.inventory["access"]]
    ['id']
    """

    inventory: Mapping[str, Any]
    """As docs/schema/inventory.json has it; ``access`` has an entry for each key that is let in."""
    report: Report
    """What is wrong with that."""

    _made = {"report": Report.from_dict}


@dataclass(frozen=True)
class HostKey(Answer):
    """A key by which a host proves itself.

    >>> import dr
    >>> key = dr.trust_host("root@us.example.net").keys[0]
    >>> key.algorithm, key.is_new, key.fingerprint[:7]
    ('ssh-ed25519', True, 'SHA256:')
    """

    key: str
    algorithm: str
    bits: int
    fingerprint: str
    """What is compared on the host's console."""
    standing: str
    """What is known of it, in words."""
    is_new: bool
    """It may be taken up, once somebody says that it is right."""
    in_dns: bool | None = None
    """Whether an SSHFP record agrees; none where no resolver answered."""


@dataclass(frozen=True)
class TrustedHost(Answer):
    """A host's keys, and those of them that were taken up.

    >>> import dr
    >>> seen = dr.trust_host("root@us.example.net", known_hosts=["known_hosts"])
    >>> len(seen.keys), seen.added, seen.report.verdict
    (1, (), <Verdict.OK: 'ok'>)
    """

    host: str
    keys: tuple[HostKey, ...]
    added: tuple[str, ...]
    report: Report
    signed: str | None = None
    """Of its SSHFP records (DNSSEC): ``"proven"`` by a resolver on this machine, ``"hearsay"`` of one elsewhere, or ``"unproven"``."""

    _made = {"keys": tuple_of(HostKey.from_dict), "report": Report.from_dict}


@dataclass(frozen=True)
class CertifiedKey(Answer):
    """A certificate that was, or with ``dry_run`` would be, signed.

    >>> import dr
    >>> certified = dr.certify_key("id.pub", "ca", "user", ["deploy"], dry_run=True)
    >>> certified.names, certified.path, certified.until.tzname()
    (('deploy',), None, 'UTC')
    """

    names: tuple[str, ...]
    id: str
    until: datetime
    path: str | None = None
    certificate: str | None = None
    serial: int | None = None
    trusted_by: str | None = None
    """The line by which the authority is trusted: of known_hosts for a host's, of authorized_keys for a user's."""

    _made = {"until": instant}


@dataclass(frozen=True)
class IssuedCertificate(Answer):
    """What stands in an authority's register.

    >>> import dr
    >>> signed = dr.certify_key("id.pub", "ca", "user", ["deploy"])
    >>> [(one.id, one.host) for one in dr.issued_certificates("ca")]
    [('id', False)]
    """

    serial: int
    host: bool
    id: str
    names: tuple[str, ...]
    key: str
    at: datetime
    until: datetime

    _made = {"at": instant, "until": instant}


@dataclass(frozen=True)
class HeldKey(Answer):
    """A key that an ssh-agent holds.

    >>> import dr
    >>> [held.comment for held in dr.list_agent_keys("/run/agent")]
    []
    """

    key: str
    fingerprint: str
    algorithm: str
    bits: int
    comment: str
    certificate: int | None = None


def generate_key(
    path: Path,
    *,
    kind: str = "ed25519",
    comment: str = "",
    passphrase_file: Path | None = None,
    no_passphrase: bool = False,
    dry_run: bool = False,
) -> GeneratedKey:
    """Make a key pair, ``PATH`` and ``PATH.pub``; nothing is ever overwritten.

    ``kind`` is ``"ed25519"``, ``"ecdsa-p256"``, ``"ecdsa-p384"``, ``"ecdsa-p521"``, or with RSA built in ``"rsa-3072"`` or
    ``"rsa-4096"``. It has to be said whether the private half is encrypted: by the passphrase in the first line of
    ``passphrase_file``, or not (``no_passphrase``).

    >>> import dr, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     made = dr.generate_key(directory + "/id", no_passphrase=True, comment="mirror from uk")
    >>> made.public_key.split()[0], made.fingerprint[:7]
    ('ssh-ed25519', 'SHA256:')
    """
    request = {
        "path": path,
        "kind": kind,
        "comment": comment,
        "passphrase_file": passphrase_file,
        "no_passphrase": no_passphrase,
        "dry_run": dry_run,
    }
    return GeneratedKey.from_json(call("generate_key", request))


def install_key(
    key: Path,
    remote: str,
    *,
    restrict: bool = False,
    command: str | None = None,
    mirror: str | None = None,
    mirror_by: Literal["agent", "rrsync", "sftp"] = "agent",
    read_only: bool = False,
    sources: Iterable[str] = (),
    expires: str | datetime | None = None,
    permit_open: Iterable[str] = (),
    replace: bool = False,
    file: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """Put a public key into an account's authorized_keys, and prove by a fresh login that it opens.

    ``key`` is the path of a ``.pub`` file or its line. It is proved if its private half is among ``identities``; what fails is
    taken back. Foreign lines stay byte for byte. An account that no key opens yet is entered by ``password_files``.

    ``restrict`` allows nothing but commands, ``command`` one command only, ``mirror`` the mirroring of one directory only (by
    what ``mirror_by`` says; ``read_only`` if it may not be written); ``sources`` are the only addresses, networks and names from
    where it may be used, ``expires`` its end, ``permit_open`` the only places where forwarded connections may go.

    >>> import dr
    >>> dr.install_key("new.pub", "root@us.example.net", sources=["192.0.2.0/24"], dry_run=True, **reach).changed
    True
    >>> dr.install_key("new.pub", "root@us.example.net", file="authorized_keys", **reach).outcome
    <Outcome.NEW: 'new'>
    """
    allow = {"restrict": restrict, "command": command, "from": sources, "expires": expires, "permit_open": permit_open}
    request = {
        "key": key,
        "remote": remote,
        "allow": {word: value for word, value in allow.items() if value is not None},
        "mirror": None if mirror is None else {"root": mirror, "by": mirror_by, "read_only": read_only},
        "replace": replace,
        "file": file,
        "dry_run": dry_run,
        "by": by,
    }
    return Done.from_json(call("install_key", request, reach))


def verify_key(key: Path, remote: str, **reach: Unpack[Reach]) -> Report:
    """Log in afresh with a key, whose private half is among ``identities``, and with nothing else.

    >>> import dr
    >>> dr.verify_key("id.pub", "root@us.example.net", **reach).verdict
    <Verdict.OK: 'ok'>
    """
    return Report.from_json(call("verify_key", {"key": key, "remote": remote}, reach))


def probe_key(key: Path, remote: str, **reach: Unpack[Reach]) -> Report:
    """Ask a host whether it would let a public key in; the private half is not needed.

    >>> import dr
    >>> dr.probe_key("stranger.pub", "root@us.example.net", **reach).findings[0].code
    'keys.not_accepted'
    """
    return Report.from_json(call("probe_key", {"key": key, "remote": remote}, reach))


def audit_keys(
    remotes: Iterable[str] = (),
    *,
    file: Path | None = None,
    known: Path | None = None,
    record: Path | None = None,
    html: Path | None = None,
    authorities: Iterable[Path] = (),
    dry_run: bool = False,
    **reach: Unpack[Reach],
) -> AuditedKeys:
    """Who can log in as whom, where, by which key, and what is wrong with that; of every host of the ``estate`` if none is named.

    ``file`` looks at one authorized_keys file here instead. ``known`` is a file that lists the keys that are expected; ``record``
    is compared with and written anew, ``html`` gets a page for a browser (neither with ``dry_run``); ``authorities`` are private
    keys of certificate authorities, which are not opened: what they signed and has to be renewed is a finding.

    >>> import dr
    >>> audited = dr.audit_keys(file="authorized_keys", known="id.pub")
    >>> [finding.code for finding in audited.report.findings]
    ['keys.not_restricted', 'keys.forwards_agent']
    """
    request = {
        "remotes": remotes,
        "file": file,
        "known": known,
        "record": record,
        "html": html,
        "authorities": authorities,
        "dry_run": dry_run,
    }
    return AuditedKeys.from_json(call("audit_keys", request, reach))


def rotate_key(
    old: Path,
    new: Path,
    remotes: Iterable[str] = (),
    *,
    grace: Span | None = None,
    file: str | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """Put a new key into the place of an old one, on every host of the ``estate`` if no account is named: everywhere or nowhere.

    The new one is added and proved, both open for ``grace``, then the old one is removed, and every host asked that it refuses it.

    >>> import dr
    >>> from datetime import timedelta
    >>> words = {"file": "authorized_keys", "grace": timedelta(days=1)}
    >>> planned = dr.rotate_key("id.pub", "new.pub", ["root@us.example.net"], dry_run=True, **words, **reach)
    >>> planned.changed
    True
    """
    request = {"old": old, "new": new, "remotes": remotes, "grace": grace, "file": file, "dry_run": dry_run, "by": by}
    return Done.from_json(call("rotate_key", request, reach))


def revoke_key(
    key: Path,
    remotes: Iterable[str] = (),
    *,
    key_files_only: bool = False,
    after: Span | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """Take a key, or one certificate, out of every key file, and put it on every sshd's list of revoked keys.

    Another key is proved on every host before and after: the last working one is never taken out.

    >>> import dr
    >>> planned = dr.revoke_key("stranger.pub", ["root@us.example.net"], dry_run=True, **reach)
    >>> planned.changed, str(planned.plan).count("\\n") > 5
    (True, True)
    """
    request = {
        "key": key,
        "remotes": remotes,
        "key_files_only": key_files_only,
        "after": after,
        "dry_run": dry_run,
        "by": by,
    }
    return Done.from_json(call("revoke_key", request, reach))


def lock_down(
    remote: str,
    *,
    accounts: Iterable[str] = (),
    after: Span | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """Switch passwords off on a host, once ``remote`` and every one of ``accounts`` is proved to open by a key.

    Unless everything is proved again afterwards, the host takes it back by itself ``after`` so long (two minutes).

    >>> import dr
    >>> planned = dr.lock_down("root@us.example.net", dry_run=True, **reach)
    >>> planned.changed, str(planned.plan).count("\\n") > 5
    (True, True)
    """
    request = {"remote": remote, "accounts": accounts, "after": after, "dry_run": dry_run, "by": by}
    return Done.from_json(call("lock_down", request, reach))


def unlock(remote: str, *, dry_run: bool = False, by: str | None = None, **reach: Unpack[Reach]) -> Done:
    """Take what ``lock_down`` wrote out of sshd's configuration again.

    >>> import dr
    >>> dr.unlock("root@us.example.net", dry_run=True, **reach).changed
    False
    """
    return Done.from_json(call("unlock", {"remote": remote, "dry_run": dry_run, "by": by}, reach))


def trust_host(
    remote: str,
    *,
    dns: str | None = None,
    update: bool = False,
    accept: Iterable[str] = (),
    add_to: Path | None = None,
    dry_run: bool = False,
    **reach: Unpack[Reach],
) -> TrustedHost:
    """Show the keys by which a host proves itself; take up those whose fingerprints are in ``accept``, and no other.

    Compare them on the host's console first. They are added to the known_hosts file ``add_to``. ``dns`` is the address of a
    resolver whose SSHFP records are compared; that they are signed is believed of one on this machine only. With ``update`` a
    host that is known already vouches for its other keys.

    >>> import dr
    >>> seen = dr.trust_host("root@us.example.net")
    >>> compared = [key.fingerprint for key in seen.keys]
    >>> len(dr.trust_host("root@us.example.net", accept=compared, add_to="trusted").added)
    1
    """
    request = {
        "remote": remote,
        "dns": dns,
        "update": update,
        "accept": accept,
        "known_hosts": add_to,
        "dry_run": dry_run,
    }
    return TrustedHost.from_json(call("trust_host", request, reach))


def sshfp_records(name: str, keys: Iterable[Path]) -> tuple[str, ...]:
    """The SSHFP records of host keys, as lines of a zone file, to be published under the host's own name.

    >>> import dr
    >>> dr.sshfp_records("us.example.net", ["id.pub"])[0][:27]
    'us.example.net IN SSHFP 4 2'
    """
    return tuple(json.loads(call("sshfp_records", {"name": name, "keys": keys}))["lines"])


def certify_key(
    key: Path,
    authority: Path,
    bearer: Literal["user", "host"],
    names: Iterable[str],
    *,
    good_for: Span | None = None,
    id: str | None = None,
    sources: Iterable[str] = (),
    command: str | None = None,
    permits: Iterable[Literal["terminal", "ports", "agent"]] = (),
    passphrase_file: Path | None = None,
    agent: Path | None = None,
    dry_run: bool = False,
) -> CertifiedKey:
    """Sign a certificate by which a user may log in, or a host proves itself; ``NAME.pub`` gets ``NAME-cert.pub`` beside it.

    It is for ``names`` only, never for all, and good for 8 hours (31 days at most) or, for a host, 90 days (397 at most). Nothing
    beside commands is allowed that ``permits`` does not name. ``agent`` is the socket of an ssh-agent that holds the authority's key.

    >>> import dr
    >>> from datetime import timedelta
    >>> signed = dr.certify_key("id.pub", "ca", "user", ["deploy"], good_for=timedelta(hours=2), permits=["terminal"])
    >>> signed.path, signed.certificate.split()[0]
    ('id-cert.pub', 'ssh-ed25519-cert-v01@openssh.com')
    """
    request = {
        "key": key,
        "authority": authority,
        "bearer": bearer,
        "names": names,
        "good_for": good_for,
        "id": id,
        "from": sources,
        "command": command,
        "permits": permits,
        "passphrase_file": passphrase_file,
        "agent": agent,
        "dry_run": dry_run,
    }
    return CertifiedKey.from_json(call("certify_key", request))


def issued_certificates(authority: Path) -> list[IssuedCertificate]:
    """What an authority has signed, by the register beside its private key, which is not opened.

    >>> import dr
    >>> signed = dr.certify_key("id.pub", "ca", "user", ["deploy"])
    >>> dr.issued_certificates("ca")[-1].names
    ('deploy',)
    """
    issued = json.loads(call("issued_certificates", {"authority": authority}))["issued"]
    return [IssuedCertificate.from_dict(one) for one in issued]


def install_certificate(
    certificate: Path,
    remote: str,
    *,
    after: Span | None = None,
    dry_run: bool = False,
    by: str | None = None,
    **reach: Unpack[Reach],
) -> Done:
    """Bring a host its certificate, or the authority (its ``.pub`` file) whose users it is to let in, and have sshd use it.

    >>> import dr
    >>> planned = dr.install_certificate("ca.pub", "root@us.example.net", dry_run=True, **reach)
    >>> planned.changed, str(planned.plan).count("\\n") > 5
    (True, True)
    """
    request = {"certificate": certificate, "remote": remote, "after": after, "dry_run": dry_run, "by": by}
    return Done.from_json(call("install_certificate", request, reach))


def list_agent_keys(agent: Path) -> list[HeldKey]:
    """The keys that the ssh-agent behind this socket (``$SSH_AUTH_SOCK``) holds.

    >>> import dr
    >>> dr.list_agent_keys("/run/agent")
    []
    """
    return _held("list_agent_keys", {"agent": agent})


def add_agent_key(
    agent: Path,
    key: Path,
    *,
    passphrase_file: Path | None = None,
    lifetime: Span | None = None,
    confirm: bool = False,
    dry_run: bool = False,
) -> list[HeldKey]:
    """Give an ssh-agent a private key, for ``lifetime`` or as long as it runs; with ``confirm`` it asks a person before each use.

    >>> import dr
    >>> [held.comment for held in dr.add_agent_key("/run/agent", "id", lifetime="1h")]
    ['id']
    >>> dr.remove_agent_key("/run/agent", "id.pub")
    []
    """
    request = {
        "agent": agent,
        "key": key,
        "passphrase_file": passphrase_file,
        "lifetime": lifetime,
        "confirm": confirm,
        "dry_run": dry_run,
    }
    return _held("add_agent_key", request)


def remove_agent_key(agent: Path, key: Path, *, dry_run: bool = False) -> list[HeldKey]:
    """Let an ssh-agent forget a key.

    >>> import dr
    >>> dr.remove_agent_key("/run/agent", "id.pub", dry_run=True)
    []
    """
    return _held("remove_agent_key", {"agent": agent, "key": key, "dry_run": dry_run})


def _held(operation: str, request: Mapping[str, Any]) -> list[HeldKey]:
    return [HeldKey.from_dict(held) for held in json.loads(call(operation, request))["keys"]]
