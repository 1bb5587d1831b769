/* Mirror with a progress bar: progress SOURCE TARGET JOURNAL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dr.h>

/* A number of an event: events are small, and their keys are fixed. */
static double number(const char *event, const char *key) {
    const char *at = strstr(event, key);
    return at == NULL ? -1 : strtod(at + strlen(key), NULL);
}

/* Called on this thread; anything but 0 would stop the mirror. */
static int show(const char *event, void *user) {
    double done = number(event, "\"done\":"), total = number(event, "\"total\":");
    int filled, *shown = user;
    if (strstr(event, "\"progress\"") == NULL || strstr(event, "\"unit\":\"bytes\"") == NULL || total <= 0) return 0;
    filled = (int)(40 * done / total);
    fprintf(stderr, "\r[%.*s%*s] %3.0f%%", filled, "########################################", 40 - filled, "", 100 * done / total);
    *shown = 1;
    return 0;
}

int main(int count, char **words) {
    dr_toolkit *toolkit = dr_toolkit_new();
    dr_request *request = dr_request_new("mirror");
    dr_answer *answer = NULL;
    dr_error *error = NULL;
    dr_status status = DR_USAGE;
    int shown = 0;
    if (count != 4) {
        fprintf(stderr, "usage: %s SOURCE TARGET JOURNAL\n", words[0]);
    } else if ((status = dr_toolkit_set_text(toolkit, "journal", words[3], &error)) == DR_OK &&
               (status = dr_request_set_text(request, "source", words[1], &error)) == DR_OK &&
               (status = dr_request_set_text(request, "target", words[2], &error)) == DR_OK) {
        dr_toolkit_set_progress(toolkit, show, &shown);
        status = dr_call(toolkit, request, &answer, &error);
    }
    if (shown) fputc('\n', stderr);
    if (error != NULL) fprintf(stderr, "%s\n", dr_error_message(error));
    if (status == DR_OK && answer != NULL)
        printf("%ld created, %ld updated, %ld deleted\n", (long)dr_answer_number(answer, "/summary/created", 0),
               (long)dr_answer_number(answer, "/summary/updated", 0), (long)dr_answer_number(answer, "/summary/deleted", 0));
    dr_error_free(error);
    dr_answer_free(answer);
    dr_request_free(request);
    dr_toolkit_free(toolkit);
    return (int)status;
}
