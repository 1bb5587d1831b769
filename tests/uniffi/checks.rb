# What uniffi makes of libdr for Ruby, held against what the page promises: ruby checks.rb, with the file and the library on their paths.
require "io/wait"
require "dr_toolkit"
require "json"
require "socket"
require "timeout"
require "tmpdir"
include DrToolkit

def check(what)
  yield
  puts "ok      #{what}"
end

def holds(said, what = "it does not hold")
  raise "#{what}, at #{caller(1, 1).first}" unless said
end

def failed
  yield
  raise "nothing was raised"
rescue DrError::Failed => e
  e
end

# The library's own threads.
def threads
  Dir.glob("/proc/self/task/*/comm").count do |name|
    File.read(name).strip == "dr"
  rescue SystemCallError
    false
  end
end

def settled
  Timeout.timeout(20) { sleep 0.01 until yield }
end

class Collector < Listener
  attr_reader :events

  def initialize(throws = nil)
    super()
    @events = []
    @throws = throws
  end

  def happened(event)
    @events << event
    raise @throws if @throws
  end
end

SILENT = UDPSocket.new.tap { |socket| socket.bind("127.0.0.1", 0) }
QUESTION = CheckZone.new(zone: "example.org", servers: ["ns1=127.0.0.1:#{SILENT.addr[1]}"], depth: Depth::RECORDS)

check "a mirror with its own types" do
  Dir.mktmpdir do |place|
    Dir.mkdir("#{place}/site")
    File.write("#{place}/site/ünï", "one")
    toolkit = Toolkit.new(ToolkitSettings.new(journal: "#{place}/journal.db"))
    request = lambda do |dry_run|
      MirrorTrees.new(source: "#{place}/site", target: "#{place}/copy", fsync: Fsync::ONCE, compress: Compress::AUTO, dry_run: dry_run)
    end
    planned = toolkit.mirror(request.call(true))
    holds planned.changed && planned.summary.created == 2 && !File.exist?("#{place}/copy")
    listener = Collector.new
    done = toolkit.apply_plan(ApplyPlan.new(plan: planned.plan, by: "ann"), listener)
    holds done.outcome == Outcome::NEW && File.read("#{place}/copy/ünï") == "one"
    holds listener.events.first.plan_recorded? && listener.events.first.by == "ann"
    holds listener.events.last.finished?
    holds !toolkit.mirror(request.call(false)).changed
    holds toolkit.list_runs(ListRuns.new).runs.map(&:run) == [done.run]
  end
end

check "errors say everything" do
  toolkit = Toolkit.new
  error = failed { toolkit.failover(FailOver.new(site: "shop")) }
  holds [error.kind, error.code, error.retryable] == [ErrorKind::NOT_FOUND, 18, false]
  error = failed { toolkit.call("chek_zone", "{}") }
  holds error.kind == ErrorKind::USAGE && error.hint.start_with?("there are check_zone")
  error = failed { toolkit.check_zone(CheckZone.new(zone: "exa mple.org", depth: Depth::RECORDS)) }
  holds error.kind == ErrorKind::USAGE && error.reason.include?("exa mple"), error.to_s
  holds failed { Toolkit.from_json("nonsense") }.kind == ErrorKind::USAGE
  holds failed { Toolkit.from_estate_file("/nowhere/dr.toml") }.kind == ErrorKind::NOT_FOUND
  begin
    toolkit.call(7, "{}")
    raise "seven is no operation"
  rescue TypeError, NoMethodError
    nil
  end
end

check "calls are stopped by all means" do
  toolkit = Toolkit.new
  token = CancelToken.new
  Thread.new { sleep 0.1; token.cancel }
  error = failed { toolkit.check_zone(QUESTION, nil, token) }
  holds error.kind == ErrorKind::CANCELLED && token.is_cancelled
  begin
    Timeout.timeout(0.2) { toolkit.check_zone(QUESTION) }
    raise "it took too long"
  rescue Timeout::Error
    nil
  end
  waiting = Thread.new { toolkit.check_zone(QUESTION) }
  settled { threads == 1 }
  waiting.kill.join
  settled { threads.zero? }
  pause = { step: { pause: { span: "1h", why: "to be stopped" } }, need: "needed", title: "wait" }
  plan = { title: "wait", at: "2026-11-22T03:00:00Z", on_failure: "stop", steps: [pause] }
  [[Stop::Asked.new, "asked"], [RuntimeError.new("enough"), "enough"]].each do |throws, said|
    Dir.mktmpdir do |place|
      own = Toolkit.new(ToolkitSettings.new(journal: "#{place}/journal.db"))
      listener = Collector.new(throws)
      error = failed { own.apply_plan(ApplyPlan.new(plan: JSON.generate(plan)), listener) }
      holds error.kind == ErrorKind::CANCELLED && error.reason.include?(said), error.to_s
      holds listener.events.length == 1, "more was told to whoever wants no more"
    end
  end
end

check "other threads go on" do
  toolkit = Toolkit.new
  answers = 20.times.map { Thread.new { toolkit.call("list_runs", "{}") } }.map(&:value)
  holds answers.uniq == ['{"runs":[]}']
  token = CancelToken.new
  ticks = 0
  ticking = Thread.new { 10.times { sleep 0.02; ticks += 1 }; token.cancel }
  failed { toolkit.check_zone(QUESTION, nil, token) }
  ticking.join
  holds ticks == 10
end

check "nothing is kept" do
  toolkit = Toolkit.new
  resident = -> { GC.start; File.read("/proc/self/statm").split[1].to_i * 4 }
  300.times { toolkit.call("list_runs", "{}") }
  before = resident.call
  2000.times { toolkit.list_runs(ListRuns.new) }
  grown = resident.call - before
  holds grown < 6144, "#{grown} KB"
end
