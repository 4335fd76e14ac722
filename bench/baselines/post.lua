-- Posts events with ids of their own. Arguments: bearer token, a name no other run has, events of a request.
-- The events are 300 bytes of JSON. Prints what wrk has measured as one line of JSON.

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("thread_id", threads)
end

function init(args)
  local several = tonumber(args[3]) > 1
  run, events, sent = args[2], tonumber(args[3]), 0
  wrk.method = "POST"
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  wrk.headers["Content-Type"] = several and "application/cloudevents-batch+json" or "application/cloudevents+json"
end

local function event()
  sent = sent + 1
  local sha = string.format("%s%02x%024x", run, thread_id, sent)
  return '{"specversion":"1.0","id":"' .. sha .. '/0","source":"bench/' .. sent % 256 ..
    '","type":"commits.changes.listed","time":"2026-01-01T00:00:00Z","data":{"files":[{"added":12,"deleted":3,' ..
    '"path":"adapters/http/server.ts","status":"M"}],"part":0,"sha":"' .. sha .. '"}}'
end

function request()
  if events == 1 then return wrk.format(nil, nil, nil, event()) end
  local batch = {}
  for i = 1, events do batch[i] = event() end
  return wrk.format(nil, nil, nil, "[" .. table.concat(batch, ",") .. "]")
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"errors":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout
  ))
end
