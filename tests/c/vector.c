/* One call by name: OPERATION SETTINGS REQUEST. Prints "answer JSON" or "error JSON"; the status must be the code in the JSON. */
#include <stdio.h>
#include <string.h>
#include <dr.h>

int main(int count, char **arguments) {
    char *answer = NULL, code[32];
    dr_error *error = NULL;
    dr_status status;
    if (count != 4) return 2;
    status = dr_call_json(arguments[1], arguments[2], arguments[3], &answer, &error);
    if (status == DR_OK) {
        printf("answer %s", answer);
        dr_string_free(answer);
        return error != NULL;
    }
    snprintf(code, sizeof code, "\"code\":%d,", (int)status);
    if (strstr(dr_error_json(error), code) == NULL || dr_error_status(error) != status) return 3;
    printf("error %s", dr_error_json(error));
    dr_error_free(error);
    return answer != NULL;
}
