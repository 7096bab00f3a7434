-- wrk -s post.lua URL -- BODY_FILE [NAME:VALUE ...]: posts the file's bytes with these headers, and prints the figures as JSON.
function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method, wrk.body = "POST", file:read("*a")
  file:close()
  for at = 2, #args do
    local name, value = args[at]:match("^([^:]+):(.*)$")
    wrk.headers[name] = value
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format('{"answered":%d,"failed":%d,"seconds":%f,"p50":%f,"p99":%f}', summary.requests - errors.status, failed,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
