# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Rack: Rack::URLMap mounts, Rack::Request reads.
show = lambda do |section|
  lambda do |env|
    r = Rack::Request.new(env)
    lines = ["section=#{section}"]
    { 'query' => r.GET, 'form' => r.POST, 'cookie' => r.cookies, 'params' => r.params }.each do |source, values|
      lines << "#{source}=#{values['client_id']}" if values['client_id']
    end
    lines << "header=#{env['HTTP_X_CLIENT_ID']}" if env['HTTP_X_CLIENT_ID']
    [200, { 'Content-Type' => 'text/plain' }, [lines.join("\n") + "\n"]]
  end
end

map('/app') { run show.call('app') }
map('/') { run show.call('open') }
