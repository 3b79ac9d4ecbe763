// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// A token server that is not ours (npm oidc-provider): client_credentials, JWT access tokens
// of two algorithms, bound to a key where the client proves one (RFC 9449) with the server's
// nonce. Prints one line of JSON when it serves, ends with its standard input.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const audiences = { 'https://api.example.com': 'RS256', 'https://ec.example.com': 'ES256' };

const server = createServer();
server.listen(0, '127.0.0.1', () => {
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const provider = new Provider(issuer, {
        clients: [{
            client_id: 'app_x', client_secret: 'interop-secret-of-app_x', redirect_uris: [],
            response_types: [], grant_types: ['client_credentials'],
            token_endpoint_auth_method: 'client_secret_post',
        }],
        clientAuthMethods: ['client_secret_post'],
        jwks: { keys: [{ ...rsa, kid: 'r1', use: 'sig', alg: 'RS256' },
                       { ...ec, kid: 'e1', use: 'sig', alg: 'ES256' }] },
        scopes: ['user:read:one', 'user:read:two'],
        features: {
            devInteractions: { enabled: false },
            clientCredentials: { enabled: true },
            dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
            resourceIndicators: {
                enabled: true,
                getResourceServerInfo: (ctx, audience) => ({
                    audience, scope: 'user:read:one user:read:two', accessTokenTTL: 600,
                    accessTokenFormat: 'jwt', jwt: { sign: { alg: audiences[audience] } },
                }),
            },
        },
    });
    server.on('request', provider.callback());
    console.log(JSON.stringify({ issuer, port: server.address().port }));
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
