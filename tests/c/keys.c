/* Every operation of keys by name: what needs no host is done, and what needs one says that nobody is there. An empty directory is
 * argument 1, the socket of an ssh-agent argument 2. */
#include "calls.h"

static char request[TEXT];

/* The request with the directory in the place of each %, and the agent's socket in that of each ^. */
static const char *with(const char *form, const char *agent) {
    size_t at = 0;
    for (; *form != '\0'; form++) {
        const char *word = *form == '%' ? place : *form == '^' ? agent : NULL;
        at += (size_t)(word != NULL ? snprintf(request + at, sizeof request - at, "%s", word)
                                    : snprintf(request + at, sizeof request - at, "%c", *form));
    }
    return request;
}

static void here(const char *agent) {
    const char *made[] = {"\"public_key\":\"ssh-ed25519 ", "\"fingerprint\":\"SHA256:", NULL};
    const char *planned[] = {"\"public_path\":", NULL};
    const char *signed_one[] = {"\"serial\":1", "\"names\":[\"deploy\"]", "\"trusted_by\":\"cert-authority,", NULL};
    const char *issued[] = {"\"issued\":[{\"serial\":1", NULL};
    const char *records[] = {"us.example.net IN SSHFP 4 2 ", NULL};
    const char *audited[] = {"\"inventory\":{", "\"access\":[{", "\"report\":{", NULL};
    const char *held[] = {"\"keys\":[{", "\"comment\":\"ann\"", NULL};
    const char *none[] = {"\"keys\":[]", NULL};
    says("generate_key", with("{\"path\": \"%/ann\", \"no_passphrase\": true, \"comment\": \"ann\", \"dry_run\": true}", agent), planned,
         "what would be made is told");
    says("generate_key", with("{\"path\": \"%/ann\", \"no_passphrase\": true, \"comment\": \"ann\"}", agent), made, "a key is made");
    says("generate_key", with("{\"path\": \"%/ca\", \"no_passphrase\": true}", agent), made, "and an authority");
    fails("generate_key", with("{\"path\": \"%/ann\", \"no_passphrase\": true}", agent), DR_ALREADY_EXISTS, "nothing is overwritten");
    fails("generate_key", with("{\"path\": \"%/new\"}", agent), DR_USAGE, "whether it is secret must be said");
    says("certify_key",
         with("{\"key\": \"%/ann.pub\", \"authority\": \"%/ca\", \"bearer\": \"user\", \"names\": [\"deploy\"]}", agent), signed_one,
         "a certificate is signed");
    says("issued_certificates", with("{\"authority\": \"%/ca\"}", agent), issued, "and written down");
    says("sshfp_records", with("{\"name\": \"us.example.net\", \"keys\": [\"%/ann.pub\"]}", agent), records, "records are rendered");
    says("audit_keys", with("{\"file\": \"%/ann.pub\"}", agent), audited, "a file is looked at");
    says("list_agent_keys", with("{\"agent\": \"^\"}", agent), none, "the agent is empty");
    says("add_agent_key", with("{\"agent\": \"^\", \"key\": \"%/ann\", \"lifetime\": \"1h\"}", agent), held, "it takes a key");
    says("remove_agent_key", with("{\"agent\": \"^\", \"key\": \"%/ann.pub\"}", agent), none, "and forgets it");
}

static void hosts(const char *agent) {
    const char *finding[] = {"host.unreachable", NULL};
    const char *about = "{\"key\": \"%/ann.pub\", \"remote\": \"nobody@127.0.0.1:9\"}";
    const char *remote = "{\"remote\": \"nobody@127.0.0.1:9\", \"dry_run\": true}";
    says("verify_key", with(about, agent), finding, "a host that is not there is a finding");
    says("probe_key", with(about, agent), finding, "for both questions");
    fails("install_key", with(about, agent), DR_UNREACHABLE, "no key is installed");
    fails("trust_host", with(remote, agent), DR_UNREACHABLE, "no host is trusted");
    fails("lock_down", with(remote, agent), DR_UNREACHABLE, "none is locked");
    fails("unlock", with(remote, agent), DR_UNREACHABLE, "none is unlocked");
    fails("install_certificate", with("{\"certificate\": \"%/ca.pub\", \"remote\": \"nobody@127.0.0.1:9\"}", agent), DR_UNREACHABLE,
          "none gets a certificate");
    fails("revoke_key", with("{\"key\": \"%/ann.pub\", \"remotes\": [\"nobody@127.0.0.1:9\"]}", agent), DR_UNREACHABLE, "none forgets a key");
    fails("rotate_key", with("{\"old\": \"%/ca.pub\", \"new\": \"%/ann.pub\", \"remotes\": [\"nobody@127.0.0.1:9\"]}", agent),
          DR_UNREACHABLE, "none exchanges one");
}

int main(int count, char **arguments) {
    if (count != 3) {
        fputs("a directory and a socket are needed\n", stderr);
        return 2;
    }
    place = arguments[1];
    snprintf(settings, sizeof settings, "{\"journal\": \"%s/journal.db\", \"identities\": [\"%s/ann\"]}", place, place);
    here(arguments[2]);
    hosts(arguments[2]);
    return finished();
}
