# Sourced: an sshd and a name server on loopback that touch no account and no port of this machine, and a count of what was checked.
#   $work          a directory of its own
#   start_sshd     $ssh_port, $work/known_hosts; opens by $work/way, its key file is $work/keys
#   start_named    $dns_port; a primary of shop.test that takes updates signed by update.test ($work/update.key)
#   start_estate   $work/moving.toml, a site that can be moved: uk and us are 127.0.9.1 and 127.0.9.2, each with a web server; needs the two above
#   check, finish  as the other test programs tell it

work=$(mktemp -d)
started=()
passed=0 failed=0
trap stop EXIT

# Each has ended before its directory goes: a name server that is told to stop still writes its zones.
stop() {
    [ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true
    for _ in $(seq 300); do [ -n "$(jobs -rp)" ] || break; sleep 0.1; done
    [ -z "$(jobs -rp)" ] || { echo "told to stop half a minute ago, and still there:"; jobs -l; kill -KILL "${started[@]}"; wait; }
    rm -rf "$work"
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

until_there() { # PORT
    for _ in $(seq 300); do (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.1; done
    echo "nobody answers at port $1"; cat "$work"/*.log; exit 1
}

start_sshd() {
    ssh_port=$(free_port)
    for key in host way; do ssh-keygen -q -t ed25519 -N '' -C "$key" -f "$work/$key"; done
    cp "$work/way.pub" "$work/keys"
    mkdir -p /run/sshd 2>/dev/null || true
    /usr/sbin/sshd -D -e -f /dev/null -p "$ssh_port" -h "$work/host" -o ListenAddress=127.0.0.1 -o PidFile=none -o StrictModes=no \
        -o AuthorizedKeysFile="$work/keys" -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no -o UsePAM=no \
        -o PermitRootLogin=prohibit-password -o Subsystem='sftp internal-sftp' >"$work/sshd.log" 2>&1 &
    started+=($!)
    until_there "$ssh_port"
    echo "[127.0.0.1]:$ssh_port $(cut -d' ' -f1,2 "$work/host.pub")" >"$work/known_hosts"
}

start_named() {
    dns_port=$(free_port)
    mkdir "$work/named"
    printf '%s\n' '$TTL 300' '@ SOA ns1 hostmaster 1 3600 600 86400 300' '@ NS ns1' 'ns1 A 127.0.0.1' '@ A 192.0.2.10' \
        'www A 192.0.2.10' 'moves 1 A 127.0.9.1' >"$work/named/zone"
    (umask 077; echo 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ==' >"$work/update.key")
    cat >"$work/named/named.conf" <<END
options { directory "$work/named"; pid-file none; session-keyfile none; listen-on port $dns_port { 127.0.0.1; };
  listen-on-v6 { none; }; recursion no; dnssec-validation no; };
controls { };
key "update.test" { algorithm hmac-sha256; secret "$(cat "$work/update.key")"; };
zone "shop.test" { type primary; file "zone"; update-policy { grant update.test zonesub ANY; }; };
END
    /usr/sbin/named -g -c "$work/named/named.conf" -p "$dns_port" >"$work/named.log" 2>&1 &
    started+=($!)
    until_there "$dns_port"
}

start_estate() {
    web_port=$(free_port)
    mkdir "$work/web"
    echo shop >"$work/web/index.html"
    for address in 127.0.9.1 127.0.9.2; do
        python3 -m http.server --bind "$address" --directory "$work/web" "$web_port" >"$work/web$address.log" 2>&1 &
        started+=($!)
        python3 - "$address" "$web_port" <<'END'
import socket, sys, time
deadline = time.monotonic() + 30
while socket.socket().connect_ex((sys.argv[1], int(sys.argv[2]))):
    assert time.monotonic() < deadline, "no web server"
    time.sleep(0.05)
END
    done
    cat >"$work/moving.toml" <<END
[hosts]
uk = { ssh = "$(id -un)@127.0.0.1:$ssh_port", addresses = ["127.0.9.1"], state_dir = "$work/state-uk" }
us = { ssh = "$(id -un)@127.0.0.1:$ssh_port", addresses = ["127.0.9.2"], state_dir = "$work/state-us" }
[sites.shop]
home = "uk"
standby = "us"
names = ["moves.shop.test"]
mirror = false
[[sites.shop.probes]]
http = { host = "moves.shop.test", port = $web_port, path = "/" }
[name_servers]
ns1 = { address = "127.0.0.1:$dns_port" }
[zones."shop.test"]
primary = "ns1"
servers = ["ns1"]
update_key = "update.test"
[tsig_keys."update.test"]
algorithm = "hmac-sha256"
secret_file = "$work/update.key"
[coordinator]
kind = "sqlite"
path = "$work/coordinator.db"
END
}

check() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok      $what"; passed=$((passed + 1))
    else
        echo "FAILED  $what"; cat "$work/log"; failed=$((failed + 1))
    fi
}

exits() { # STATUS TEXT COMMAND...: exits so, and says this.
    local status=$1 text=$2 got=0
    shift 2
    "$@" >"$work/said" 2>&1 || got=$?
    cat "$work/said"
    [ "$got" = "$status" ] && { [ -z "$text" ] || grep -qF -- "$text" "$work/said"; }
}

finish() {
    echo "test result: $([ $failed = 0 ] && echo ok || echo FAILED). $passed passed; $failed failed; 0 ignored"
    [ $failed = 0 ]
}
