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
            typedef struct dr_error dr_error;
            int dr_call_json(const char *operation, const char *settings, const char *request, char **answer, dr_error **error);
            void dr_string_free(char *text);
            const char *dr_error_message(const dr_error *error);
            const char *dr_error_hint(const dr_error *error);
            void dr_error_free(dr_error *error);
        ', $library);
    }

    /** Calls any operation (docs/PARITY.md) with a request as docs/schema has it. */
    public function call(string $operation, array $request, array $settings = []): array
    {
        $answer = $this->lib->new('char *');
        $error = $this->lib->new('dr_error *');
        $json = fn (array $values): string => json_encode((object) $values, JSON_THROW_ON_ERROR);
        $status = $this->lib->dr_call_json(
            $operation, $json($settings), $json($request), FFI::addr($answer), FFI::addr($error)
        );
        if ($status !== 0) {
            // PHP turns const char * into strings of its own.
            $failure = new DrError($this->lib->dr_error_message($error), $status, $this->lib->dr_error_hint($error));
            $this->lib->dr_error_free($error);
            throw $failure;
        }
        $text = FFI::string($answer);
        $this->lib->dr_string_free($answer);
        return json_decode($text, true, 512, JSON_THROW_ON_ERROR);
    }
}

[, $source, $target, $journal] = $argv + [null, '', '', ''];
try {
    $dr = new Dr(getenv('DR_LIBRARY') ?: 'libdr.so');
    $done = $dr->call('mirror', ['source' => $source, 'target' => $target], ['journal' => $journal]);
    $summary = $done['summary'];
    echo "{$summary['created']} created, {$summary['updated']} updated, {$summary['deleted']} deleted\n";
} catch (DrError $error) {
    fwrite(STDERR, $error->getMessage() . ($error->hint === null ? '' : " -> {$error->hint}") . "\n");
    exit($error->getCode());
}
