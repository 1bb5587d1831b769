/* The C interface of dr. Made from the sources of dr-ffi: DR_BLESS=1 cargo test -p dr-ffi */

#ifndef DR_H
#define DR_H

#include <stddef.h>
#include <stdint.h>

/*
 How a call ended. The numbers are those of the command's exit status, of Python's `.code` and of `code` in JSON; they are never
 renumbered, and retired ones stay reserved.
 */
typedef enum {
  /*
   It was done. What was found stands in the report.
   */
  DR_OK = 0,
  /*
   The caller's words are wrong: an argument, an estate, a name that is no name, a NULL or a text that is not UTF-8.
   */
  DR_USAGE = 2,
  /*
   A guard refused: doing it would risk what it protects.
   */
  DR_REFUSED = 10,
  /*
   The world is no longer what the plan was made for; nothing was overwritten.
   */
  DR_CONFLICT = 11,
  /*
   The other side could not be reached, or the connection was lost.
   */
  DR_UNREACHABLE = 12,
  /*
   The host's key is unknown, changed or revoked.
   */
  DR_HOST_KEY = 13,
  /*
   The other side refused who we say we are.
   */
  DR_AUTHENTICATION = 14,
  /*
   Somebody else holds the lock.
   */
  DR_LOCKED = 15,
  /*
   The caller cancelled.
   */
  DR_CANCELLED = 16,
  /*
   It took longer than allowed.
   */
  DR_TIMEOUT = 17,
  /*
   What was named does not exist.
   */
  DR_NOT_FOUND = 18,
  /*
   It exists already and must not be overwritten.
   */
  DR_ALREADY_EXISTS = 19,
  /*
   The operating system or the server forbids it.
   */
  DR_PERMISSION_DENIED = 20,
  /*
   No space or no inodes left.
   */
  DR_NO_SPACE = 21,
  /*
   The file system or the journal is read-only.
   */
  DR_READ_ONLY = 22,
  /*
   The other side, or this build, cannot do that.
   */
  DR_UNSUPPORTED = 23,
  /*
   The other side broke its protocol.
   */
  DR_PROTOCOL = 24,
  /*
   The journal could not be written or read.
   */
  DR_JOURNAL = 25,
  /*
   Stored data is damaged.
   */
  DR_CORRUPT = 26,
  /*
   It may or may not have happened, and reading back did not tell.
   */
  DR_OUTCOME_UNKNOWN = 27,
  /*
   The address or the resource is in use.
   */
  DR_BUSY = 28,
  /*
   The server understood, and said no.
   */
  DR_REJECTED = 29,
  /*
   Some other failure of input or output.
   */
  DR_IO = 30,
  /*
   A defect in dr itself.
   */
  DR_INTERNAL = 99,
} dr_status;

/*
 The shortest summary of a report.
 */
typedef enum {
  /*
   Nothing at or over warning, and everything was examined.
   */
  DR_VERDICT_OK = 0,
  /*
   Warnings, or something could not be examined.
   */
  DR_VERDICT_DEGRADED = 1,
  /*
   Errors or worse.
   */
  DR_VERDICT_FAILED = 2,
} dr_verdict;

/*
 Why a call failed, and what to do about it.
 */
typedef struct dr_error dr_error;

/*
 The answer to "is it all right?".
 */
typedef struct dr_report dr_report;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The version of the library: "0.1.0". Never freed.
 */
const char *dr_version(void);

/*
 Asks every name server of a zone whether it would send visitors to the right host. Waits for the answer.

 `servers` are `server_count` texts, each `NAME=ADDRESS` or an address; the port is 53 if not said. A server that does not answer
 is a finding in the report, not an error. `*report` is to be given back by `dr_report_free`, `*error` by `dr_error_free`;
 what there is none of is NULL. `error` may be NULL.

 Requires:
 Texts end with NUL; `servers` holds `server_count` pointers; `report` and `error` may be written to, or are NULL.
 */
dr_status dr_check_zone(const char *zone,
                        const char *const *servers,
                        size_t server_count,
                        dr_report **report,
                        dr_error **error);

/*
 Calls any operation by its name: a request in JSON goes in, an answer in JSON comes out. Waits for the answer.

 `settings` is JSON too (docs/schema/settings.json): the estate, the journal, the keys and the known hosts; NULL for none. `*answer` is to be given back by `dr_string_free`, `*error` by `dr_error_free`; what there is none of is NULL. `error` may be
 NULL.

 Requires:
 Texts end with NUL; `answer` and `error` may be written to, or are NULL.
 */
dr_status dr_call_json(const char *operation,
                       const char *settings,
                       const char *request,
                       char **answer,
                       dr_error **error);

/*
 Gives back a text that `dr_call_json` gave out. NULL is fine.

 Requires:
 `text` is NULL or came from `dr_call_json` and was not freed; it must not be used afterwards.
 */
void dr_string_free(char *text);

/*
 The status that the failed call returned; DR_INTERNAL for NULL.

 Requires:
 `error` is NULL or came from this library and was not freed.
 */
dr_status dr_error_status(const dr_error *error);

/*
 What could not be done and why, in one sentence. Valid until the error is freed.

 Requires:
 `error` is NULL or came from this library and was not freed.
 */
const char *dr_error_message(const dr_error *error);

/*
 What to do about it; NULL if nothing is known. Valid until the error is freed.

 Requires:
 `error` is NULL or came from this library and was not freed.
 */
const char *dr_error_hint(const dr_error *error);

/*
 The whole error as JSON. Valid until the error is freed.

 Requires:
 `error` is NULL or came from this library and was not freed.
 */
const char *dr_error_json(const dr_error *error);

/*
 Gives an error back. NULL is fine.

 Requires:
 `error` is NULL or came from this library and was not freed; it must not be used afterwards.
 */
void dr_error_free(dr_error *error);

/*
 The shortest summary; DR_VERDICT_FAILED for NULL.

 Requires:
 `report` is NULL or came from this library and was not freed.
 */
dr_verdict dr_report_verdict(const dr_report *report);

/*
 How many findings it has; 0 for NULL.

 Requires:
 `report` is NULL or came from this library and was not freed.
 */
size_t dr_report_finding_count(const dr_report *report);

/*
 The whole report as JSON (docs/schema/report.json). Valid until the report is freed.

 Requires:
 `report` is NULL or came from this library and was not freed.
 */
const char *dr_report_json(const dr_report *report);

/*
 The whole report as a page for people, 80 columns wide. Valid until the report is freed.

 Requires:
 `report` is NULL or came from this library and was not freed.
 */
const char *dr_report_text(const dr_report *report);

/*
 Gives a report back. NULL is fine.

 Requires:
 `report` is NULL or came from this library and was not freed; it must not be used afterwards.
 */
void dr_report_free(dr_report *report);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DR_H */
