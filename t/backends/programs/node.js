// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// node's own http and URL, or a framework: node node.js PORT http|express|koa|hapi|fastify
const [port, name] = [Number(process.argv[2]), process.argv[3]];
const all = (value) => (value === undefined ? [] : [].concat(value));

function answer(section, query, form, cookie, header) {
  const lines = ['section=' + section];
  for (const [source, value] of Object.entries({ query, form, cookie, header })) {
    for (const one of all(value)) lines.push(source + '=' + (typeof one === 'string' ? one : JSON.stringify(one)));
  }
  return lines.join('\n') + '\n';
}

const programs = {
  http() {
    require('http').createServer((req, res) => {
      let url;
      try { url = new URL(req.url, 'http://localhost'); } catch (e) { res.writeHead(400); res.end(); return; }
      let path = url.pathname;
      try { path = decodeURIComponent(path); } catch (e) { /* as it stands */ }
      res.end(answer(/^\/app(\/|$)/.test(path) ? 'app' : 'open', url.searchParams.getAll('client_id'),
                     undefined, undefined, req.headers['x-client-id']));
    }).listen(port, '127.0.0.1');
  },
  express() {
    const express = require('express');
    const app = express();
    const show = (section) => (req, res) => res.type('text').send(
      answer(section, req.query.client_id, (req.body || {}).client_id, undefined, req.get('X-Client-Id')));
    app.use(express.urlencoded({ extended: true }));
    app.use('/app', show('app'));
    app.use(show('open'));
    app.listen(port, '127.0.0.1');
  },
  koa() {
    const Koa = require('koa');
    const Router = require('@koa/router');
    const app = new Koa();
    const router = new Router();
    const show = (section) => (ctx) => {
      ctx.body = answer(section, ctx.query.client_id, undefined, ctx.cookies.get('client_id'),
                        ctx.get('X-Client-Id') || undefined);
    };
    router.all(/^\/app(\/|$)/i, show('app'));
    app.use(router.routes());
    app.use(show('open'));
    app.listen(port, '127.0.0.1');
  },
  async hapi() {
    const server = require('@hapi/hapi').server({ port, host: '127.0.0.1', router: { isCaseSensitive: false } });
    const show = (section) => (request) => answer(section, request.query.client_id, (request.payload || {}).client_id,
                                                  request.state.client_id, request.headers['x-client-id']);
    for (const method of ['GET', 'POST']) {
      server.route({ method, path: '/app/{rest*}', handler: show('app') });
      server.route({ method, path: '/{rest*}', handler: show('open') });
    }
    await server.start();
  },
  fastify() {
    const app = require('fastify')({ routerOptions: { caseSensitive: false, ignoreDuplicateSlashes: true } });
    const show = (section) => async (request) => answer(section, request.query.client_id, (request.body || {}).client_id,
                                                        undefined, request.headers['x-client-id']);
    app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (request, body, done) =>
      done(null, require('querystring').parse(body)));
    for (const method of ['GET', 'POST']) {
      app.route({ method, url: '/app', handler: show('app') });
      app.route({ method, url: '/app/*', handler: show('app') });
      app.route({ method, url: '/*', handler: show('open') });
    }
    app.listen({ port, host: '127.0.0.1' });
  },
};
programs[name]();
