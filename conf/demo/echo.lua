-- SPDX-License-Identifier: Apache-2.0
-- Copyright The mod_m2mgw authors
--
-- The backend of the demo: says what reached it, as JSON, names sorted.

local function quoted(text)
    return '"' .. tostring(text):gsub('[%z\1-\31"\\\127]', function(c)
        return string.format('\\u%04x', c:byte())
    end) .. '"'
end

-- several values of one name stay several
local function value(v)
    if type(v) ~= 'table' then
        return quoted(v)
    end
    if #v == 1 then
        return quoted(v[1])
    end
    local all = {}
    for i, one in ipairs(v) do
        all[i] = quoted(one)
    end
    return '[' .. table.concat(all, ', ') .. ']'
end

local function object(t, indent)
    local names, lines = {}, {}
    for name in pairs(t) do
        names[#names + 1] = name
    end
    table.sort(names)
    for _, name in ipairs(names) do
        lines[#lines + 1] = indent .. '  ' .. quoted(name) .. ': ' .. value(t[name])
    end
    if #lines == 0 then
        return '{}'
    end
    return '{\n' .. table.concat(lines, ',\n') .. '\n' .. indent .. '}'
end

-- the query as most servers read it, but with every value of a name
local function parameters(query)
    local all = {}
    for pair in query:gmatch('[^&;]+') do
        local name, text = pair:match('^([^=]*)=?(.*)$')
        local function plain(part)
            return (part:gsub('+', ' '):gsub('%%(%x%x)', function(hex)
                return string.char(tonumber(hex, 16))
            end))
        end
        name = plain(name)
        all[name] = all[name] or {}
        table.insert(all[name], plain(text))
    end
    return all
end

function handle(r)
    r.content_type = 'application/json'
    r:puts('{\n  "method": ' .. quoted(r.method) .. ',\n')
    r:puts('  "path": ' .. quoted(r.uri) .. ',\n')
    r:puts('  "query": ' .. quoted(r.args or '') .. ',\n')
    r:puts('  "parameters": ' .. object(parameters(r.args or ''), '  ') .. ',\n')
    r:puts('  "headers": ' .. object(r:headers_in_table(), '  ') .. '\n}\n')
    return apache2.OK
end
