<?php
// Mirror a website from PHP: php mirror.php SOURCE TARGET JOURNAL. PHP's own FFI is enough (ffi.enable=1, or the command line).
declare(strict_types=1);

/** An operation of dr could not be done; the code is that of the command's exit status. */
final class DrError extends RuntimeException
{
    public function __construct(string $message, int $code, public readonly ?string $hint)
    {
        parent::__construct($message, $code);
    }
}

final class Dr
{
    private FFI $lib;

    public function __construct(string $library = 'libdr.so')
    {
        $this->lib = FFI::cdef('
            typedef struct dr_error dr_error; typedef struct dr_toolkit dr_toolkit;
            typedef struct dr_request dr_request; typedef struct dr_answer dr_answer;
            typedef int (*dr_progress)(const char *event, void *user);
            dr_toolkit *dr_toolkit_new(void);
            int dr_toolkit_set_json(dr_toolkit *toolkit, const char *key, const char *value, dr_error **error);
            void dr_toolkit_set_progress(dr_toolkit *toolkit, dr_progress progress, void *user);
            void dr_toolkit_free(dr_toolkit *toolkit);
            dr_request *dr_request_new(const char *operation);
            int dr_request_set_json(dr_request *request, const char *key, const char *value, dr_error **error);
            void dr_request_free(dr_request *request);
            int dr_call(const dr_toolkit *toolkit, const dr_request *request, dr_answer **answer, dr_error **error);
            const char *dr_answer_json(const dr_answer *answer);
            void dr_answer_free(dr_answer *answer);
            const char *dr_error_message(const dr_error *error);
            const char *dr_error_hint(const dr_error *error);
            void dr_error_free(dr_error *error);
        ', $library);
    }

    /**
     * Calls any operation (docs/PARITY.md) with a request as docs/schema has it. $progress is called with each event; what it throws
     * stops the operation, and comes out.
     */
    public function call(string $operation, array $request, array $settings = [], ?Closure $progress = null): array
    {
        $lib = $this->lib;
        $toolkit = $lib->dr_toolkit_new();
        $asked = $lib->dr_request_new($operation);
        $answer = $lib->new('dr_answer *');
        $thrown = null;
        try {
            foreach ($settings as $key => $value) {
                $this->ask('dr_toolkit_set_json', $toolkit, $key, json_encode($value, JSON_THROW_ON_ERROR));
            }
            foreach ($request as $key => $value) {
                $this->ask('dr_request_set_json', $asked, $key, json_encode($value, JSON_THROW_ON_ERROR));
            }
            // No exception may go through C: it is kept until the call has returned.
            $hear = function (string $event) use ($progress, &$thrown): int {
                try {
                    $progress(json_decode($event, true));
                    return 0;
                } catch (Throwable $why) {
                    $thrown = $why;
                    return 1;
                }
            };
            if ($progress !== null) {
                $lib->dr_toolkit_set_progress($toolkit, $hear, null);
            }
            $this->ask('dr_call', $toolkit, $asked, FFI::addr($answer));
            if ($thrown !== null) {
                throw $thrown;
            }
            return json_decode($lib->dr_answer_json($answer), true, 512, JSON_THROW_ON_ERROR);
        } catch (DrError $error) {
            throw $thrown ?? $error;
        } finally {
            $lib->dr_answer_free($answer);
            $lib->dr_request_free($asked);
            $lib->dr_toolkit_free($toolkit);
        }
    }

    /** Its error, if there is one, becomes an exception. */
    private function ask(string $function, mixed ...$words): void
    {
        $error = $this->lib->new('dr_error *');
        $status = $this->lib->$function(...$words, ...[FFI::addr($error)]);
        if ($status !== 0) {
            // PHP turns const char * into strings of its own.
            $failure = new DrError($this->lib->dr_error_message($error), $status, $this->lib->dr_error_hint($error));
            $this->lib->dr_error_free($error);
            throw $failure;
        }
    }
}

[, $source, $target, $journal] = $argv + [null, '', '', ''];
try {
    $dr = new Dr(getenv('DR_LIBRARY') ?: 'libdr.so');
    $show = function (array $event): void {
        if ($event['event'] === 'progress' && $event['unit'] === 'bytes') {
            fprintf(STDERR, "\r%-8s%d bytes", $event['phase'], $event['done']);
        }
    };
    $done = $dr->call('mirror', ['source' => $source, 'target' => $target], ['journal' => $journal], $show);
    $summary = $done['summary'];
    echo "{$summary['created']} created, {$summary['updated']} updated, {$summary['deleted']} deleted\n";
} catch (DrError $error) {
    fwrite(STDERR, "\n" . $error->getMessage() . ($error->hint === null ? '' : " -> {$error->hint}") . "\n");
    exit($error->getCode());
}
