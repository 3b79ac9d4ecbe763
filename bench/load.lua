-- SPDX-License-Identifier: Apache-2.0
-- Copyright The mod_m2mgw authors
--
-- For wrk: requests with the tokens of the file BENCH_TOKENS, one after the other; a line of
-- two words is a bound token and a proof. BENCH_BODY, if set, is posted instead, without a
-- token, by BENCH_CLIENTS clients in turn, whose names take the place of CLIENT in it. Prints one
-- line of JSON.

local requests, at = {}, 0

function init(args)
    local body = os.getenv("BENCH_BODY")
    if body then
        for client = 1, tonumber(os.getenv("BENCH_CLIENTS")) do
            requests[client] = wrk.format("POST", nil, { ["Content-Type"] = "application/x-www-form-urlencoded" },
                                          (body:gsub("CLIENT", "bench" .. client)))
        end
        return
    end
    for token in io.lines(os.getenv("BENCH_TOKENS")) do
        local bound, proof = token:match("^(%S+) (%S+)$")
        local headers = proof and { Authorization = "DPoP " .. bound, DPoP = proof }
                        or { Authorization = "Bearer " .. token }
        requests[#requests + 1] = wrk.format("GET", nil, headers)
    end
end

function request()
    at = at + 1
    if at > #requests then
        at = 1
    end
    return requests[at]
end

function done(summary, latency)
    io.write(string.format(
        '{"requests":%d,"us":%d,"refused":%d,"errors":%d,"p50":%d,"p99":%d}\n',
        summary.requests, summary.duration, summary.errors.status,
        summary.errors.connect + summary.errors.read + summary.errors.write
            + summary.errors.timeout, latency:percentile(50), latency:percentile(99)))
end
