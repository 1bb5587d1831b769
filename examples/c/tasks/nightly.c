/* The check of every night: nightly ESTATE. It says nothing where all is well, so cron mails what it says:
 *     MAILTO=ops@example.org
 *     41 5 * * * /usr/local/bin/nightly /etc/dr/dr.toml */
#include <stdio.h>
#include <dr.h>

/* Would every site of the estate survive? */
int main(int count, char **words) {
    dr_toolkit *toolkit = dr_toolkit_new();
    dr_request *request = dr_request_new("failover_status");
    dr_answer *answer = NULL;
    dr_error *error = NULL;
    dr_status status = DR_USAGE;
    size_t findings = 0, finding;
    if (count != 2)
        fprintf(stderr, "usage: %s ESTATE\n", words[0]);
    else if ((status = dr_toolkit_set_estate_file(toolkit, words[1], &error)) == DR_OK)
        status = dr_call(toolkit, request, &answer, &error);
    if (error != NULL) printf("the estate could not be checked: %s\n", dr_error_message(error));
    findings = dr_answer_count(answer, "/findings");
    for (finding = 0; finding < findings; finding++) {
        char path[64];
        const char *message;
        snprintf(path, sizeof path, "/findings/%lu/message", (unsigned long)finding);
        message = dr_answer_text(answer, path);
        printf("%s\n", message == NULL ? "?" : message);
    }
    dr_error_free(error);
    dr_answer_free(answer);
    dr_request_free(request);
    dr_toolkit_free(toolkit);
    return status == DR_OK ? findings > 0 : (int)status;
}
