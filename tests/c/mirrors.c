/* Every operation of mirrors by name: made, verified, gone back from, listed, and sites of an estate. An empty directory is
 * argument 1. */
#include "calls.h"

static void write_page(const char *content) {
    char path[TEXT];
    FILE *page;
    snprintf(path, sizeof path, "%s/site/index.html", place);
    page = fopen(path, "w");
    if (page == NULL || fputs(content, page) < 0 || fclose(page) != 0) {
        perror(path);
        exit(2);
    }
}

static int shows(const char *content) {
    char path[TEXT], found[64] = "";
    FILE *page;
    snprintf(path, sizeof path, "%s/copy/index.html", place);
    page = fopen(path, "r");
    if (page == NULL) return 0;
    if (fgets(found, sizeof found, page) == NULL) found[0] = '\0';
    fclose(page);
    return strcmp(found, content) == 0;
}

static void one_tree(void) {
    const char *changed[] = {"\"changed\":true", "\"created\":2", "\"outcome\":\"new\"", "\"sent_bytes\":3", NULL};
    const char *planned[] = {"\"changed\":true", "\"updated\":1", "\"plan\":{", "\"guards\":[", NULL};
    const char *updated[] = {"\"changed\":true", "\"updated\":1", "\"outcome\":\"new\"", NULL};
    const char *alike[] = {"\"findings\":[]", NULL};
    const char *differs[] = {"mirror.differs_after", "index.html", NULL};
    const char *two[] = {"\"is_live\":true", "\"is_live\":false", NULL};
    const char *live[] = {"\"is_live\":true", NULL};
    char trees[TEXT], kept[TEXT], rehearsed[TEXT], target[TEXT];
    snprintf(trees, sizeof trees, "{\"source\": \"%s/site\", \"target\": \"%s/copy\"}", place, place);
    snprintf(kept, sizeof kept, "{\"source\": \"%s/site\", \"target\": \"%s/copy\", \"generations\": 2}", place, place);
    snprintf(rehearsed, sizeof rehearsed, "{\"source\": \"%s/site\", \"target\": \"%s/copy\", \"dry_run\": true}", place, place);
    snprintf(target, sizeof target, "{\"target\": \"%s/copy\"}", place);
    write_page("one");
    says("mirror", kept, changed, "a tree is mirrored");
    says("verify_mirror", trees, alike, "and verified");
    write_page("two, and longer");
    says("verify_mirror", trees, differs, "what differs is found");
    says("mirror", rehearsed, planned, "what would be done is told");
    check(shows("one"), "and not done");
    says("mirror", kept, updated, "the next state is made");
    check(shows("two, and longer"), "and served");
    says("generations", target, two, "both states are kept");
    says("roll_back_mirror", target, live, "the former one is gone back to");
    check(shows("one"), "and served again");
    snprintf(target, sizeof target, "{\"target\": \"%s/none\"}", place);
    fails("roll_back_mirror", target, DR_NOT_FOUND, "nothing is kept there");
}

/* Hosts that nobody answers for: each site that is not mirrored is a finding of its own. */
static void sites(void) {
    const char *unreachable[] = {"\"sites\":{", "\"shop\":{", "\"error\":{", "mirror.site_failed", NULL};
    const char *estate =
        "\"estate\": {\"hosts\": {\"uk\": {\"ssh\": \"root@127.0.0.1:9\"}, \"us\": {\"ssh\": \"root@127.0.0.1:9\"}},"
        " \"sites\": {\"shop\": {\"home\": \"uk\", \"standby\": \"us\", \"trees\": [{\"path\": \"/var/www/shop\"}]}}}";
    snprintf(settings, sizeof settings, "{\"journal\": \"%s/journal.db\", %s}", place, estate);
    says("mirror_sites", "{\"dry_run\": true}", unreachable, "a site that cannot be reached is a finding");
    fails("mirror_sites", "{\"sites\": [\"none\"]}", DR_NOT_FOUND, "a site that is not there");
}

int main(int count, char **arguments) {
    char path[TEXT];
    if (count != 2) {
        fputs("a directory is needed\n", stderr);
        return 2;
    }
    place = arguments[1];
    snprintf(path, sizeof path, "%s/site", place);
    if (mkdir(path, 0755) != 0) {
        perror(path);
        return 2;
    }
    snprintf(settings, sizeof settings, "{\"journal\": \"%s/journal.db\"}", place);
    one_tree();
    sites();
    return finished();
}
