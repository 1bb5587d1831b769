/* Toolkits, requests, answers, tokens and callbacks. An empty directory is argument 1, a name server that never answers argument 2. */
#include "calls.h"
#include <signal.h>
#include <unistd.h>

static dr_cancel *token;
static pid_t me;

struct heard {
    int events, stop_at, elsewhere;
    pthread_t caller;
    char last[64];
};

static int on_event(const char *event, void *user) {
    struct heard *heard = user;
    heard->events++;
    if (!pthread_equal(pthread_self(), heard->caller)) heard->elsewhere = 1;
    snprintf(heard->last, sizeof heard->last, "%.60s", event);
    return heard->stop_at == heard->events;
}

static void on_signal(int number) {
    (void)number;
    dr_cancel_now(token);
}

static void *signal_soon(void *unused) {
    struct timespec soon = {0, 200 * 1000 * 1000};
    (void)unused;
    nanosleep(&soon, NULL);
    kill(me, SIGUSR1);
    return NULL;
}

static dr_request *request_of(const char *operation) {
    dr_request *request = dr_request_new(operation);
    check(request != NULL, operation);
    return request;
}

static void trees(dr_toolkit *toolkit) {
    dr_request *request = request_of("mirror");
    dr_answer *answer = NULL;
    dr_error *error = NULL;
    struct heard heard;
    char path[TEXT];
    const char *outcome;
    FILE *page;
    memset(&heard, 0, sizeof heard);
    heard.caller = pthread_self();
    snprintf(path, sizeof path, "%s/site", place);
    mkdir(path, 0755);
    dr_request_set_text(request, "source", path, NULL);
    snprintf(path, sizeof path, "%s/site/page", place);
    page = fopen(path, "w");
    if (page != NULL) {
        fputs("one", page);
        fclose(page);
    }
    snprintf(path, sizeof path, "%s/copy", place);
    dr_request_set_text(request, "target", path, NULL);
    check(dr_request_add_text(request, "exclude", "*.tmp", &error) == DR_OK, "one of many is said");
    check(dr_request_add_text(request, "source", "x", &error) == DR_USAGE && error != NULL, "of one there are not many");
    dr_error_free(error);
    dr_request_set_number(request, "generations", 2, NULL);
    check(dr_request_set_json(request, "max_delete", "{\"percent\": 10}", NULL) == DR_OK, "JSON is said");
    check(dr_request_set_json(request, "max_delete", "{", NULL) == DR_USAGE, "what is no JSON is not");
    dr_request_set_flag(request, "dry_run", 1, NULL);
    dr_toolkit_set_progress(toolkit, on_event, &heard);
    check(dr_call(toolkit, request, &answer, &error) == DR_OK && error == NULL, "what would be done is told");
    check(dr_answer_flag(answer, "/changed") && dr_answer_count(answer, "/plan/steps") == 1, "and not done");
    dr_answer_free(answer);
    dr_request_set_flag(request, "dry_run", 0, NULL);
    check(dr_call(toolkit, request, &answer, &error) == DR_OK, "a tree is mirrored");
    outcome = dr_answer_text(answer, "/outcome");
    check(outcome != NULL && strcmp(outcome, "new") == 0 && outcome == dr_answer_text(answer, "/outcome"), "and its answer looked into");
    check(dr_answer_number(answer, "/summary/created", -1) == 2 && dr_answer_number(answer, "/no", -1) == -1, "by path");
    check(dr_answer_text(answer, "/none") == NULL && strstr(dr_answer_text(answer, "/summary"), "created") != NULL, "deeply");
    check(strstr(dr_answer_json(answer), "\"outcome\":\"new\"") != NULL, "or as a whole");
    check(heard.events > 3 && strstr(heard.last, "finished") != NULL, heard.last);
    check(!heard.elsewhere, "on the thread that called");
    dr_answer_free(answer);
    page = fopen(path, "r"); /* a directory: only that it is there */
    check(page != NULL, "the copy is there");
    if (page != NULL) fclose(page);
    snprintf(path, sizeof path, "%s/other", place);
    dr_request_set_text(request, "target", path, NULL);
    heard.stop_at = heard.events + 1;
    check(dr_call(toolkit, request, &answer, &error) != DR_OK || strcmp(dr_answer_text(answer, "/outcome"), "stopped") == 0 ||
              strcmp(dr_answer_text(answer, "/outcome"), "new") == 0,
          "a callback may say that it is enough");
    check(heard.events == heard.stop_at, "and hears no more");
    dr_error_free(error);
    dr_answer_free(answer);
    dr_toolkit_set_progress(toolkit, NULL, NULL);
    dr_request_free(request);
}

static void stopped(dr_toolkit *toolkit, const char *silent) {
    dr_request *request = request_of("check_zone");
    dr_answer *answer = NULL;
    dr_error *error = NULL;
    pthread_t thread;
    int again;
    dr_status status = DR_OK;
    dr_request_set_text(request, "zone", "example.org", NULL);
    dr_request_add_text(request, "servers", silent, NULL);
    token = dr_cancel_new();
    dr_toolkit_set_cancel(toolkit, token);
    me = getpid();
    signal(SIGUSR1, on_signal);
    pthread_create(&thread, NULL, signal_soon, NULL);
    /* One that is over before the signal is made again. */
    for (again = 0; again < 50 && status == DR_OK; again++) {
        dr_answer_free(answer);
        answer = NULL;
        status = dr_call(toolkit, request, &answer, &error);
    }
    pthread_join(thread, NULL);
    check(status == DR_CANCELLED && dr_error_status(error) == DR_CANCELLED && answer == NULL, "a signal handler stops a call");
    dr_error_free(error);
    dr_cancel_free(token);
    check(dr_call(toolkit, request, &answer, NULL) == DR_CANCELLED, "what it said holds after it is freed");
    dr_toolkit_set_cancel(toolkit, NULL);
    dr_request_free(request);
}

static void bad_words(dr_toolkit *toolkit) {
    dr_request *request = request_of("no_such");
    dr_answer *answer = (dr_answer *)toolkit;
    dr_error *error = NULL;
    check(dr_call(toolkit, request, &answer, &error) == DR_USAGE && answer == NULL, "what is no operation");
    check(strstr(dr_error_hint(error), "check_zone") != NULL, "is told, with those that there are");
    dr_error_free(error);
    check(dr_call(NULL, request, &answer, NULL) == DR_USAGE && dr_call(toolkit, NULL, &answer, NULL) == DR_USAGE, "NULL handles");
    check(dr_call(toolkit, request, NULL, NULL) == DR_USAGE, "nowhere to put an answer");
    check(dr_request_new(NULL) == NULL && dr_request_new("\xff") == NULL, "names that are none");
    check(dr_request_set_text(request, NULL, "x", NULL) == DR_USAGE && dr_request_set_text(request, "x", NULL, NULL) == DR_USAGE, "NULL texts");
    check(dr_request_set_text(request, "x", "\xff", NULL) == DR_USAGE && dr_request_set_text(NULL, "x", "y", NULL) == DR_USAGE, "and others");
    check(dr_toolkit_set_text(toolkit, "jornal", "/x", NULL) == DR_OK, "a setting that is none");
    check(dr_call(toolkit, request, &answer, &error) == DR_USAGE && strstr(dr_error_message(error), "jornal") != NULL, "is told by the call");
    dr_error_free(error);
    check(dr_toolkit_set_estate_file(toolkit, "/nowhere/dr.toml", &error) == DR_NOT_FOUND, "an estate that is not there");
    dr_error_free(error);
    check(dr_answer_json(NULL) == NULL && dr_answer_text(NULL, "/x") == NULL && dr_answer_number(NULL, "/x", 7) == 7, "no answer");
    check(!dr_answer_flag(NULL, "/x") && dr_answer_count(NULL, NULL) == 0, "says nothing");
    dr_answer_free(NULL);
    dr_request_free(NULL);
    dr_toolkit_free(NULL);
    dr_cancel_free(NULL);
    dr_cancel_now(NULL);
    dr_toolkit_set_progress(NULL, NULL, NULL);
    dr_toolkit_set_cancel(NULL, NULL);
    dr_request_free(request);
}

int main(int count, char **arguments) {
    const char *lines[] = {"\"lines\":[]", NULL};
    dr_toolkit *toolkit = dr_toolkit_new();
    char version[32], journal[TEXT];
    if (count != 3) {
        fputs("a directory and an address are needed\n", stderr);
        return 2;
    }
    place = arguments[1];
    check(dr_abi_version() == DR_ABI_VERSION, "the header is the library's");
    snprintf(version, sizeof version, "%d.%d.%d", DR_VERSION_MAJOR, DR_VERSION_MINOR, DR_VERSION_PATCH);
    check(strcmp(version, dr_version()) == 0, version);
    snprintf(journal, sizeof journal, "%s/journal.db", place);
    check(dr_toolkit_set_text(toolkit, "journal", journal, NULL) == DR_OK, "the journal is named");
    says("sshfp_records", "{\"name\": \"uk.example.net\", \"keys\": []}", lines, "the same operations by JSON");
    fails("no_such", "{}", DR_USAGE, "and the same errors");
    trees(toolkit);
    stopped(toolkit, arguments[2]);
    bad_words(toolkit);
    dr_toolkit_free(toolkit);
    check(dr_shutdown(10000) == DR_OK, "no thread is left");
    return finished();
}
