# Mirror a website from Ruby: ruby mirror.rb SOURCE TARGET JOURNAL. Needs the gem ffi (ruby-ffi).
require "ffi"
require "json"

module Dr
  extend FFI::Library
  ffi_lib ENV.fetch("DR_LIBRARY", "libdr.so")
  callback :progress, %i[string pointer], :int
  attach_function :dr_toolkit_new, [], :pointer
  attach_function :dr_toolkit_set_json, %i[pointer string string pointer], :int
  attach_function :dr_toolkit_set_progress, %i[pointer progress pointer], :void
  attach_function :dr_toolkit_free, [:pointer], :void
  attach_function :dr_request_new, [:string], :pointer
  attach_function :dr_request_set_json, %i[pointer string string pointer], :int
  attach_function :dr_request_free, [:pointer], :void
  # Others of Ruby's threads go on while it waits.
  attach_function :dr_call, %i[pointer pointer pointer pointer], :int, blocking: true
  attach_function :dr_answer_json, [:pointer], :string
  attach_function :dr_answer_free, [:pointer], :void
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

  # Calls any operation (docs/PARITY.md) with a request as docs/schema has it. The block is called with each event; what it raises stops
  # the operation, and comes out.
  def self.call(operation, request, settings = {}, &progress)
    toolkit = dr_toolkit_new
    asked = dr_request_new(operation)
    answer = FFI::MemoryPointer.new(:pointer)
    raised = nil
    # Nothing may be raised through C: it is kept until the call has returned.
    hear = lambda do |event, _user|
      progress.call(JSON.parse(event.force_encoding("UTF-8")))
      0
    rescue Exception => e # rubocop:disable Lint/RescueException
      raised ||= e
      1
    end
    settings.each { |key, value| ask(:dr_toolkit_set_json, toolkit, key.to_s, JSON.generate(value)) }
    request.each { |key, value| ask(:dr_request_set_json, asked, key.to_s, JSON.generate(value)) }
    dr_toolkit_set_progress(toolkit, hear, nil) if progress
    ask(:dr_call, toolkit, asked, answer)
    raise raised if raised

    JSON.parse(dr_answer_json(answer.read_pointer).force_encoding("UTF-8"))
  rescue Error => e
    raise raised || e
  ensure
    dr_answer_free(answer.read_pointer)
    dr_request_free(asked)
    dr_toolkit_free(toolkit)
  end

  # Its error, if there is one, is raised.
  def self.ask(function, *words)
    FFI::MemoryPointer.new(:pointer) do |out|
      status = public_send(function, *words, out)
      return if status.zero?

      error = out.read_pointer
      begin
        raise Error.new(dr_error_message(error), status, dr_error_hint(error))
      ensure
        dr_error_free(error)
      end
    end
  end
end

source, target, journal = Array.new(3) { |at| ARGV[at].to_s }
begin
  done = Dr.call("mirror", { source: source, target: target }, { journal: journal }) do |event|
    $stderr.printf("\r%-8s%d bytes", event["phase"], event["done"]) if event["event"] == "progress" && event["unit"] == "bytes"
  end
  summary = done["summary"]
  puts "#{summary["created"]} created, #{summary["updated"]} updated, #{summary["deleted"]} deleted"
rescue Dr::Error => e
  warn "\n#{[e.message, e.hint].compact.join(" -> ")}"
  exit e.code
end
