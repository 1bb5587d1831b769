/* The C interface of dr. Made from the sources of dr-ffi: DR_BLESS=1 cargo test -p dr-ffi */

#ifndef DR_H
#define DR_H

#include <stddef.h>
#include <stdint.h>

/*
 Changes when something that programs stand on changes; programs compare it with `dr_abi_version`.
 */
#define DR_ABI_VERSION 1

/*
 The version of the library that the header is of, as `dr_version` has it.
 */
#define DR_VERSION_MAJOR 0

/*
 Its second number.
 */
#define DR_VERSION_MINOR 1

/*
 Its third number.
 */
#define DR_VERSION_PATCH 0

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
 What an operation answered.
 */
typedef struct dr_answer dr_answer;

/*
 Stops calls that were given it. Once cancelled, always cancelled.
 */
typedef struct dr_cancel dr_cancel;

/*
 Why a call failed, and what to do about it.
 */
typedef struct dr_error dr_error;

/*
 The answer to "is it all right?".
 */
typedef struct dr_report dr_report;

/*
 An operation and what it is told: the keys are those of its request in docs/schema (docs/PARITY.md lists the operations).
 */
typedef struct dr_request dr_request;

/*
 What calls are made with. Nothing else is looked at: no environment, no home directory; and nothing is trusted that is not named.

 While it is not changed, any number of threads may call with it.
 */
typedef struct dr_toolkit dr_toolkit;

/*
 Called with an event in JSON (docs/schema/event.json) and what was given with the callback, on the thread that called, and never
 after the call has returned. What it gives back says whether to go on: 0, or anything else to stop; the call then returns
 DR_CANCELLED. The text is valid during the callback only. It must return: no longjmp, no C++ exception.
 */
typedef int (*dr_progress)(const char *event, void *user);

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
 What `DR_ABI_VERSION` was when the library was built.
 */
uint32_t dr_abi_version(void);

/*
 A toolkit that knows nothing yet.
 */
dr_toolkit *dr_toolkit_new(void);

/*
 Sets a text of docs/schema/settings.json: `dr_toolkit_set_text(toolkit, "journal", "/var/lib/dr/journal.db", &error)`.

 Requires:
 `toolkit` came from `dr_toolkit_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_toolkit_set_text(dr_toolkit *toolkit,
                              const char *key,
                              const char *value,
                              dr_error **error);

/*
 Adds a text to those of a setting: `dr_toolkit_add_text(toolkit, "known_hosts", "/root/.ssh/known_hosts", &error)`.

 Requires:
 `toolkit` came from `dr_toolkit_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_toolkit_add_text(dr_toolkit *toolkit,
                              const char *key,
                              const char *value,
                              dr_error **error);

/*
 Sets what has a shape of its own, in JSON: `dr_toolkit_set_json(toolkit, "agents", "{\"off\": true}", &error)`.

 Requires:
 `toolkit` came from `dr_toolkit_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_toolkit_set_json(dr_toolkit *toolkit,
                              const char *key,
                              const char *value,
                              dr_error **error);

/*
 Takes the estate from a file: JSON if its name ends in ".json", else TOML. Every mistake in it stands in the one error.

 Requires:
 `toolkit` came from `dr_toolkit_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_toolkit_set_estate_file(dr_toolkit *toolkit,
                                     const char *path,
                                     dr_error **error);

/*
 Has every event of later calls told to `progress`, with `user` as it is; NULL tells nobody.

 Requires:
 `toolkit` is NULL or came from `dr_toolkit_new`; `progress` may be called with `user` as long as calls are made.
 */
void dr_toolkit_set_progress(dr_toolkit *toolkit,
                             dr_progress progress,
                             void *user);

/*
 Lets later calls be stopped by a token, which may be freed afterwards; with NULL nothing stops them.

 Requires:
 `toolkit` is NULL or came from `dr_toolkit_new`; `cancel` is NULL or came from `dr_cancel_new` and was not freed.
 */
void dr_toolkit_set_cancel(dr_toolkit *toolkit,
                           const dr_cancel *cancel);

/*
 Calls an operation and waits for its answer. `*answer` is to be given back by `dr_answer_free`, `*error` by `dr_error_free`; what there
 is none of is NULL. `error` may be NULL.

 Requires:
 `toolkit` and `request` came from this library and were not freed; `answer` and `error` may be written to, or are NULL.
 */
dr_status dr_call(const dr_toolkit *toolkit,
                  const dr_request *request,
                  dr_answer **answer,
                  dr_error **error);

/*
 Waits until no thread of the library runs any more, `milliseconds` at most: before `dlclose`, and before a process that counts its
 threads ends. Calls leave threads behind only where the system keeps one in a system call. DR_OK, or DR_TIMEOUT. There is nothing else
 to shut down, and calls may be made afterwards.
 */
dr_status dr_shutdown(uint32_t milliseconds);

/*
 Gives a toolkit back. NULL is fine.

 Requires:
 `toolkit` is NULL or came from `dr_toolkit_new` and was not freed; it must not be used afterwards.
 */
void dr_toolkit_free(dr_toolkit *toolkit);

/*
 A request of an operation, by its name in docs/PARITY.md, that says nothing yet; NULL if `operation` is NULL or not UTF-8.

 Requires:
 `operation` is NULL or ends with NUL.
 */
dr_request *dr_request_new(const char *operation);

/*
 Says a text: `dr_request_set_text(request, "source", "/var/www/shop", &error)`.

 Requires:
 `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_request_set_text(dr_request *request,
                              const char *key,
                              const char *value,
                              dr_error **error);

/*
 Says one text more under a key that takes many: `dr_request_add_text(request, "exclude", "*.tmp", &error)`.

 Requires:
 `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_request_add_text(dr_request *request,
                              const char *key,
                              const char *value,
                              dr_error **error);

/*
 Says a whole number: `dr_request_set_number(request, "generations", 3, &error)`.

 Requires:
 `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_request_set_number(dr_request *request,
                                const char *key,
                                int64_t value,
                                dr_error **error);

/*
 Says yes or no: `dr_request_set_flag(request, "dry_run", 1, &error)`.

 Requires:
 `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_request_set_flag(dr_request *request, const char *key, int value, dr_error **error);

/*
 Says what has a shape of its own, in JSON: `dr_request_set_json(request, "max_delete", "{\"percent\": 10}", &error)`.

 Requires:
 `request` came from `dr_request_new`; texts end with NUL; `error` may be written to, or is NULL.
 */
dr_status dr_request_set_json(dr_request *request,
                              const char *key,
                              const char *value,
                              dr_error **error);

/*
 Gives a request back. NULL is fine.

 Requires:
 `request` is NULL or came from `dr_request_new` and was not freed; it must not be used afterwards.
 */
void dr_request_free(dr_request *request);

/*
 The whole answer as JSON, in the shape that docs/schema describes. Valid until the answer is freed.

 Requires:
 `answer` is NULL or came from this library and was not freed.
 */
const char *dr_answer_json(const dr_answer *answer);

/*
 The text at a path such as "/outcome" or "/report/findings/0/message" (RFC 6901); of anything but a text, its JSON; NULL if there is
 nothing. Valid until the answer is freed.

 Requires:
 `answer` is NULL or came from this library and was not freed; `path` ends with NUL.
 */
const char *dr_answer_text(const dr_answer *answer,
                           const char *path);

/*
 The whole number at a path, as "/summary/created"; `otherwise` if there is none.

 Requires:
 `answer` is NULL or came from this library and was not freed; `path` ends with NUL.
 */
int64_t dr_answer_number(const dr_answer *answer, const char *path, int64_t otherwise);

/*
 1 if what is at a path, as "/changed", is true; else 0.

 Requires:
 `answer` is NULL or came from this library and was not freed; `path` ends with NUL.
 */
int dr_answer_flag(const dr_answer *answer, const char *path);

/*
 How many there are at a path, as "/report/findings"; 0 if nothing is there or it is not many.

 Requires:
 `answer` is NULL or came from this library and was not freed; `path` ends with NUL.
 */
size_t dr_answer_count(const dr_answer *answer, const char *path);

/*
 Gives an answer back. NULL is fine.

 Requires:
 `answer` is NULL or came from this library and was not freed; it must not be used afterwards.
 */
void dr_answer_free(dr_answer *answer);

/*
 A token that is not cancelled.
 */
dr_cancel *dr_cancel_new(void);

/*
 Stops every call that was given this token: each returns DR_CANCELLED within a fraction of a second. It does nothing but store
 one value, so it may be called from a signal handler and from any thread. NULL is fine.

 Requires:
 `cancel` is NULL or came from `dr_cancel_new` and was not freed.
 */
void dr_cancel_now(const dr_cancel *cancel);

/*
 Gives a token back; calls that were given it go on. NULL is fine.

 Requires:
 `cancel` is NULL or came from `dr_cancel_new` and was not freed; it must not be used afterwards.
 */
void dr_cancel_free(dr_cancel *cancel);

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
