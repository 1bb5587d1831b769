# Mirror a website from Ruby: ruby mirror.rb SOURCE TARGET JOURNAL. Needs the gem ffi (ruby-ffi).
require "ffi"
require "json"

module Dr
  extend FFI::Library
  ffi_lib ENV.fetch("DR_LIBRARY", "libdr.so")
  # Others of Ruby's threads go on while it waits.
  attach_function :dr_call_json, %i[string string string pointer pointer], :int, blocking: true
  attach_function :dr_string_free, [:pointer], :void
  attach_function :dr_error_message, [:pointer], :string
  attach_function :dr_error_hint, [:pointer], :string
  attach_function :dr_error_free, [:pointer], :void

  # An operation could not be done; the code is that of the command's exit status.
  class Error < StandardError
    attr_reader :code, :hint

    def initialize(message, code, hint)
      super(message)
      @code = code
      @hint = hint
    end
  end

  # Calls any operation (docs/PARITY.md) with a request as docs/schema has it.
  def self.call(operation, request, settings = {})
    FFI::MemoryPointer.new(:pointer, 2) do |out|
      answer = out
      error = out + FFI::Pointer.size
      status = dr_call_json(operation, JSON.generate(settings), JSON.generate(request), answer, error)
      failed(status, error.read_pointer) unless status.zero?
      text = answer.read_pointer
      begin
        return JSON.parse(text.read_string.force_encoding("UTF-8"))
      ensure
        dr_string_free(text)
      end
    end
  end

  def self.failed(status, error)
    raise Error.new(dr_error_message(error), status, dr_error_hint(error))
  ensure
    dr_error_free(error)
  end
end

source, target, journal = Array.new(3) { |at| ARGV[at].to_s }
begin
  done = Dr.call("mirror", { source: source, target: target }, { journal: journal })
  summary = done["summary"]
  puts "#{summary["created"]} created, #{summary["updated"]} updated, #{summary["deleted"]} deleted"
rescue Dr::Error => e
  warn [e.message, e.hint].compact.join(" -> ")
  exit e.code
end
