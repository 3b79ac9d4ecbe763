// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// A client library that is not ours (npm oauth4webapi) against our M2M server: discovery by
// RFC 8414, then client_credentials by each method. Reads its orders from standard input:
// { issuer, client_id, secret, scope, method, key (PEM), kid, alg }; prints what came of it.
import { createPrivateKey, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';

globalThis.crypto ??= webcrypto; // Node 18
globalThis.CryptoKey ??= webcrypto.CryptoKey;
const oauth = await import('oauth4webapi');
const o = JSON.parse(readFileSync(0, 'utf8'));
const plain = { [oauth.allowInsecureRequests]: true }; // loopback

async function key() {
    const der = createPrivateKey(o.key).export({ format: 'der', type: 'pkcs8' });
    return crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: 'P-256' }, false,
                                   ['sign']);
}

const methods = {
    post: () => oauth.ClientSecretPost(o.secret),
    basic: () => oauth.ClientSecretBasic(o.secret),
    jwt: async () => oauth.PrivateKeyJwt({ key: await key(), kid: o.kid }),
};

try {
    const issuer = new URL(o.issuer);
    const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain });
    const as = await oauth.processDiscoveryResponse(issuer, found);
    const client = { client_id: o.client_id };
    const answer = await oauth.clientCredentialsGrantRequest(
        as, client, await methods[o.method](), new URLSearchParams({ scope: o.scope }), plain);
    const result = await oauth.processClientCredentialsResponse(as, client, answer);
    console.log(JSON.stringify({ as, result }));
} catch (e) {
    console.log(JSON.stringify({ failed: e.constructor.name, code: e.code, error: e.error,
                                 status: e.status, challenge: e.cause?.[0]?.scheme }));
}
