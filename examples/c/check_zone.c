/* Check that all name servers of a zone would send visitors to the right host. */
#include <stdio.h>
#include <dr.h>

int main(void) {
    const char *servers[] = {"ns1=192.0.2.1", "ns2=192.0.2.2"};
    dr_report *report = NULL;
    dr_error *error = NULL;
    dr_status status = dr_check_zone("example.org", servers, 2, &report, &error);
    if (status != DR_OK) {
        fprintf(stderr, "%s\n", dr_error_message(error));
        dr_error_free(error);
        return status;
    }
    fputs(dr_report_text(report), stdout);
    int bad = dr_report_verdict(report) == DR_VERDICT_FAILED;
    dr_report_free(report);
    return bad;
}
