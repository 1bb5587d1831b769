/* What is much too long, no JSON or broken off is an error and nothing else, and ten thousand calls leave nothing behind. */
#include "calls.h"
#include <sys/resource.h>
#include <unistd.h>

#define GIGABYTE ((size_t)1 << 30)

static void refused(dr_status status, char *answer, dr_error *error, const char *what) {
    const char *message = dr_error_message(error);
    check(status == DR_USAGE && answer == NULL && message != NULL && strlen(message) < 500, what);
    dr_error_free(error);
}

/* Memory that is in use now, and that ever was, in megabytes. */
static long now_mb(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*s %ld", &pages) != 1) pages = -1;
    if (file != NULL) fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024) / 1024;
}

static long most_mb(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss / 1024;
}

static void gigabytes(void) {
    char *huge = malloc(GIGABYTE + 2), *answer = NULL;
    long before = now_mb();
    dr_toolkit *toolkit = dr_toolkit_new();
    dr_request *request = dr_request_new("mirror");
    dr_error *error = NULL;
    dr_status status;
    if (huge == NULL) {
        puts("ok      no gigabyte here to be refused");
        return;
    }
    memset(huge, 'x', GIGABYTE + 1);
    huge[GIGABYTE + 1] = '\0';
    status = dr_call_json("check_zone", NULL, huge, &answer, &error);
    refused(status, answer, error, "a request of more than a gigabyte");
    status = dr_call_json("check_zone", huge, "{}", &answer, &error);
    refused(status, answer, error, "settings of more than a gigabyte");
    status = dr_call_json(huge, NULL, "{}", &answer, &error);
    refused(status, answer, error, "an operation with a name of more than a gigabyte");
    status = dr_request_set_text(request, "source", huge, &error);
    refused(status, NULL, error, "a word of more than a gigabyte");
    status = dr_request_set_json(request, huge, "1", &error);
    refused(status, NULL, error, "a key of more than a gigabyte");
    status = dr_toolkit_set_text(toolkit, "journal", huge, &error);
    refused(status, NULL, error, "a setting of more than a gigabyte");
    check(dr_request_new(huge) == NULL, "no request has a name of more than a gigabyte");
    huge[1000000] = '\0';
    status = dr_call_json(huge, NULL, "{}", &answer, &error);
    refused(status, answer, error, "a name of a megabyte is not repeated");
    free(huge);
    dr_request_free(request);
    dr_toolkit_free(toolkit);
    check(most_mb() < 1024 + before + 64, "what is too long is not copied");
    check(now_mb() < before + 64, "and nothing of it is kept");
}

static void no_json(void) {
    static const char *const broken[] = {"", " ", "{", "}", "[", "nul", "null", "7", "\"check_zone\"", "{\"zone\"", "{\"zone\":}", "{} {}",
        "{\"zone\": \"example.org\",}", "{\"zone\": \"a\\u0000b\"}", "{\"zone\": \"\\ud800\"}", "{\"zone\": 1e999}", "{\"zone\": \"\\x\"}",
        "{\"zone\": \"a\", \"zone\": \"b\"}", "\xef\xbb\xbf{}", "\xff"};
    size_t number;
    char *deep = malloc(200001), *answer = NULL;
    dr_error *error = NULL;
    dr_status status;
    for (number = 0; number < sizeof broken / sizeof *broken; number++) {
        status = dr_call_json("check_zone", NULL, broken[number], &answer, &error);
        refused(status, answer, error, broken[number]);
    }
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    status = dr_call_json("apply_plan", NULL, deep, &answer, &error);
    refused(status, answer, error, "a request as deep as the sea");
    status = dr_call_json("list_runs", deep, "{}", &answer, &error);
    refused(status, answer, error, "and such settings");
    free(deep);
    status = dr_call_json("mirror", NULL, "{\"source\": \"/a\\u0000b\", \"target\": \"/c\", \"dry_run\": true}", &answer, &error);
    check(status != DR_OK && status != DR_INTERNAL && answer == NULL, "a path with a NUL in it");
    dr_error_free(error);
    status = dr_call_json("generate_key", NULL, "{\"path\": \"/tmp/\\u0000/id\", \"no_passphrase\": true}", &answer, &error);
    check(status != DR_OK && status != DR_INTERNAL && answer == NULL, "and another one");
    dr_error_free(error);
}

static int heard(const char *event, void *user) {
    (void)event;
    (void)user;
    return 0;
}

static void calls(int count) {
    dr_toolkit *toolkit = dr_toolkit_new();
    dr_request *request = dr_request_new("sshfp_records");
    dr_request_set_text(request, "name", "uk.example.net", NULL);
    dr_request_set_json(request, "keys", "[]", NULL);
    dr_toolkit_set_progress(toolkit, heard, NULL);
    for (; count > 0; count -= 3) {
        dr_answer *answer = NULL;
        dr_error *error = NULL;
        char *said = NULL;
        dr_call_json("list_runs", NULL, "{}", &said, &error);
        dr_string_free(said);
        dr_error_free(error);
        dr_call_json("failover", NULL, "{\"site\": \"shop\"}", &said, &error);
        dr_string_free(said);
        dr_error_free(error);
        dr_call(toolkit, request, &answer, &error);
        dr_answer_text(answer, "/name");
        dr_answer_free(answer);
        dr_error_free(error);
    }
    dr_request_free(request);
    dr_toolkit_free(toolkit);
}

int main(int count, char **arguments) {
    const char *none[] = {"\"runs\":[]", NULL};
    long before;
    if (count != 2) {
        fputs("a directory is needed\n", stderr);
        return 2;
    }
    place = arguments[1];
    snprintf(settings, sizeof settings, "{\"journal\": \"%s/none.db\"}", place);
    gigabytes();
    no_json();
    calls(600);
    before = now_mb();
    calls(10000);
    check(now_mb() <= before + 2, "ten thousand calls leave nothing behind");
    fails("no_such", "{}", DR_USAGE, "errors are what they were");
    says("list_runs", "{}", none, "and so are answers");
    return finished();
}
