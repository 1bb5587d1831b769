/* Exchange a key on every host of an estate, everywhere or nowhere: rotate ESTATE OLD NEW JOURNAL KNOWN_HOSTS [FILE]. OLD and
 * NEW are private keys with their .pub files beside them, FILE is the key file, where it is an unusual one. */
#include <stdio.h>
#include <dr.h>

static dr_status public_half(dr_request *request, const char *word, const char *key, dr_error **error) {
    char path[4096];
    snprintf(path, sizeof path, "%s.pub", key);
    return dr_request_set_text(request, word, path, error);
}

int main(int count, char **words) {
    dr_toolkit *toolkit = dr_toolkit_new();
    dr_request *request = dr_request_new("rotate_key");
    dr_answer *answer = NULL;
    dr_error *error = NULL;
    dr_status status = DR_USAGE;
    if (count != 6 && count != 7)
        fprintf(stderr, "usage: %s ESTATE OLD NEW JOURNAL KNOWN_HOSTS [FILE]\n", words[0]);
    else if ((status = dr_toolkit_set_estate_file(toolkit, words[1], &error)) == DR_OK &&
             (status = dr_toolkit_add_text(toolkit, "identities", words[2], &error)) == DR_OK &&
             (status = dr_toolkit_add_text(toolkit, "identities", words[3], &error)) == DR_OK &&
             (status = dr_toolkit_set_text(toolkit, "journal", words[4], &error)) == DR_OK &&
             (status = dr_toolkit_add_text(toolkit, "known_hosts", words[5], &error)) == DR_OK &&
             (status = public_half(request, "old", words[2], &error)) == DR_OK &&
             (status = public_half(request, "new", words[3], &error)) == DR_OK &&
             (count == 6 || (status = dr_request_set_text(request, "file", words[6], &error)) == DR_OK))
        status = dr_call(toolkit, request, &answer, &error);
    if (error != NULL) fprintf(stderr, "%s\n", dr_error_message(error));
    if (answer != NULL) {
        const char *outcome = dr_answer_text(answer, "/outcome");
        printf("%s\n", outcome == NULL ? "?" : outcome);
    }
    dr_error_free(error);
    dr_answer_free(answer);
    dr_request_free(request);
    dr_toolkit_free(toolkit);
    return (int)status;
}
