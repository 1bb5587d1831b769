/* What a panel's button calls: button ESTATE SITE JOURNAL [really]. Without "really" it shows what would be done, or which guard is
 * in the way. */
#include <stdio.h>
#include <string.h>
#include <dr.h>

int main(int count, char **words) {
    dr_toolkit *toolkit = dr_toolkit_new();
    dr_request *request = dr_request_new("failover");
    dr_answer *answer = NULL;
    dr_error *error = NULL;
    dr_status status = DR_USAGE;
    int really = count == 5 && strcmp(words[4], "really") == 0;
    if (count != 4 && !really)
        fprintf(stderr, "usage: %s ESTATE SITE JOURNAL [really]\n", words[0]);
    else if ((status = dr_toolkit_set_estate_file(toolkit, words[1], &error)) == DR_OK &&
             (status = dr_toolkit_set_text(toolkit, "journal", words[3], &error)) == DR_OK &&
             (status = dr_request_set_text(request, "site", words[2], &error)) == DR_OK &&
             (status = dr_request_set_flag(request, "dry_run", !really, &error)) == DR_OK)
        status = dr_call(toolkit, request, &answer, &error);
    if (error != NULL) {
        const char *hint = dr_error_hint(error);
        printf("%s: %s\n", status == DR_REFUSED ? "refused" : "failed", dr_error_message(error));
        if (hint != NULL) printf("-> %s\n", hint);
    } else if (answer != NULL && really) {
        const char *outcome = dr_answer_text(answer, "/outcome");
        printf("%s\n", outcome == NULL ? "?" : outcome);
    } else if (answer != NULL) {
        size_t steps = dr_answer_count(answer, "/plan/steps"), step;
        for (step = 0; step < steps; step++) {
            char path[64];
            const char *title;
            snprintf(path, sizeof path, "/plan/steps/%lu/title", (unsigned long)step);
            title = dr_answer_text(answer, path);
            printf("%lu. %s\n", (unsigned long)step + 1, title == NULL ? "?" : title);
        }
    }
    dr_error_free(error);
    dr_answer_free(answer);
    dr_request_free(request);
    dr_toolkit_free(toolkit);
    return (int)status;
}
