"""Exchange a key on every host of an estate: python3 rotate.py ESTATE OLD NEW JOURNAL KNOWN_HOSTS [FILE].

OLD and NEW are private keys; NEW is made if it is not there. FILE is the key file, where it is an unusual one. Everywhere or nowhere: a host that cannot be reached keeps the others as they are.
"""

import os
import sys

import dr


def main(path, old, new, journal, known_hosts, file=None):
    try:
        if not os.path.exists(new):
            dr.generate_key(new, no_passphrase=True, comment="the mirror's key")
        reach = {"journal": journal, "identities": [old, new], "known_hosts": [known_hosts]}
        done = dr.rotate_key(f"{old}.pub", f"{new}.pub", file=file, estate=dr.Estate.from_file(path), **reach)
    except dr.DrError as why:
        print(why, why.hint or "", sep="\n-> " if why.hint else "", file=sys.stderr)
        return why.code
    print(f"{done.outcome}: run {done.run}")
    return 0 if done.outcome == "new" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:7]))
