/* What the C interface promises about pointers, texts and errors; the address of a name server that is there is argument 1,
 * of one that differs from it argument 2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dr.h>

static int passed = 0, failed = 0;

static void check(int fine, const char *what) {
    printf("%s  %s\n", fine ? "ok    " : "FAILED", what);
    *(fine ? &passed : &failed) += 1;
}

static void refused(const char *zone, const char *const *servers, size_t count, const char *what) {
    dr_report *report = (dr_report *)&passed;
    dr_error *error = NULL;
    dr_status status = dr_check_zone(zone, servers, count, &report, &error);
    check(status == DR_USAGE && report == NULL && error != NULL && dr_error_status(error) == DR_USAGE, what);
    check(strncmp(dr_error_message(error), "could not ", 10) == 0, dr_error_message(error));
    dr_error_free(error);
    /* An error that nobody wants leaks nothing. */
    dr_check_zone(zone, servers, count, &report, NULL);
}

static void pointers_and_texts(void) {
    const char *good[] = {"127.0.0.1:9"};
    const char *null_inside[] = {"127.0.0.1:9", NULL};
    const char *not_utf8[] = {"\xff\xfe"};
    dr_error *error = NULL;
    char *answer = NULL;
    refused(NULL, good, 1, "a zone that is NULL");
    refused("example.org", NULL, 1, "servers that are NULL");
    refused("example.org", good, 0, "no servers");
    refused("example.org", good, (size_t)-1, "a count that cannot be");
    refused("example.org", null_inside, 2, "a server that is NULL");
    refused("example.org", not_utf8, 1, "a server that is not UTF-8");
    refused("\xff", good, 1, "a zone that is not UTF-8");
    refused("exa mple.org", good, 1, "a zone that is no zone");
    check(dr_check_zone("example.org", good, 1, NULL, &error) == DR_USAGE, "a report that is NULL");
    dr_error_free(error);
    check(dr_call_json("check_zone", NULL, "{}", NULL, NULL) == DR_USAGE, "an answer that is NULL");
    check(dr_call_json(NULL, NULL, "{}", &answer, NULL) == DR_USAGE && answer == NULL, "an operation that is NULL");
    check(dr_call_json("no_such", NULL, "{}", &answer, &error) == DR_USAGE, "an operation that is not there");
    check(dr_error_hint(error) != NULL && strstr(dr_error_hint(error), "check_zone") != NULL, "the hint names those that are");
    check(strstr(dr_error_json(error), "\"code\":2") != NULL, "an error is JSON too");
    dr_error_free(error);
    check(dr_call_json("check_zone", NULL, "{\"zone\": 1}", &answer, NULL) == DR_USAGE, "a request that is none");
    check(dr_call_json("check_zone", "{\"polici\": 1}", "{}", &answer, NULL) == DR_USAGE, "settings that are none");
    dr_error_free(NULL);
    dr_report_free(NULL);
    dr_string_free(NULL);
    check(dr_error_message(NULL) == NULL && dr_report_json(NULL) == NULL && dr_report_text(NULL) == NULL, "accessors take NULL");
    check(dr_error_hint(NULL) == NULL && dr_error_json(NULL) == NULL && dr_report_finding_count(NULL) == 0, "all of them");
    check(dr_error_status(NULL) == DR_INTERNAL && dr_report_verdict(NULL) == DR_VERDICT_FAILED, "and are not fooled");
}

static void reports(char **addresses) {
    const char *servers[2], *nobody[] = {"127.0.0.1:9"};
    char request[256];
    char *answer = NULL;
    dr_report *report = NULL;
    dr_error *error = NULL;
    servers[0] = addresses[0];
    servers[1] = addresses[1];
    check(dr_check_zone("example.org", servers, 2, &report, &error) == DR_OK && error == NULL, "a zone is checked");
    check(dr_report_verdict(report) == DR_VERDICT_FAILED && dr_report_finding_count(report) > 0, "servers that differ are found");
    check(strstr(dr_report_json(report), "dns.record_set_differs") != NULL, "a report is JSON");
    check(strstr(dr_report_text(report), "CRITICAL") != NULL, "and a page");
    dr_report_free(report);
    check(dr_check_zone("example.org", nobody, 1, &report, NULL) == DR_OK, "nobody there is a report");
    check(strstr(dr_report_json(report), "dns.no_server_answers") != NULL, "that says so");
    dr_report_free(report);
    snprintf(request, sizeof request, "{\"zone\": \"example.org\", \"servers\": [\"%s\"]}", addresses[0]);
    check(dr_call_json("check_zone", NULL, request, &answer, &error) == DR_OK && answer != NULL, "the same by name");
    check(strstr(answer, "\"findings\"") != NULL, "gives the same JSON");
    dr_string_free(answer);
}

int main(int count, char **arguments) {
    if (count != 3) {
        fputs("two addresses are needed\n", stderr);
        return 2;
    }
    check(strlen(dr_version()) >= 5, dr_version());
    pointers_and_texts();
    reports(arguments + 1);
    printf("test result: %s. %d passed; %d failed; 0 ignored\n", failed ? "FAILED" : "ok", passed, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
