/* Operations called by name, and what they say. A directory to work in is argument 1 of each program. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <dr.h>

#define TEXT 4096

static int passed = 0, failed = 0;
static const char *place;
static char settings[TEXT];

static void check(int fine, const char *what) {
    printf("%s  %s\n", fine ? "ok    " : "FAILED", what);
    *(fine ? &passed : &failed) += 1;
}

/* The answer of an operation says all of these. */
static void says(const char *operation, const char *request, const char *const *words, const char *what) {
    dr_error *error = NULL;
    char *answer = NULL;
    int fine = dr_call_json(operation, settings, request, &answer, &error) == DR_OK && answer != NULL;
    if (!fine) puts(dr_error_message(error));
    for (; fine && *words != NULL; words++)
        if (strstr(answer, *words) == NULL) {
            printf("no %s in %s\n", *words, answer);
            fine = 0;
        }
    check(fine, what);
    dr_error_free(error);
    dr_string_free(answer);
}

/* The operation fails with this code, and tells what could not be done. */
static void fails(const char *operation, const char *request, int code, const char *what) {
    dr_error *error = NULL;
    char *answer = NULL;
    int got = (int)dr_call_json(operation, settings, request, &answer, &error);
    if (got != code) printf("%d instead of %d: %s\n", got, code, dr_error_message(error));
    check(got == code && answer == NULL && strncmp(dr_error_message(error), "could not ", 10) == 0, what);
    dr_error_free(error);
    dr_string_free(answer);
}

static int finished(void) {
    printf("test result: %s. %d passed; %d failed; 0 ignored\n", failed ? "FAILED" : "ok", passed, failed);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
