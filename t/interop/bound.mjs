// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// A client that is not ours (npm oauth4webapi) at a resource that it knows by its URL alone: the
// challenge leads to the resource's metadata (RFC 9728), that to the authorization server's
// (RFC 8414), there it gets a token that is bound to its key or certificate, and uses it; nonces
// are answered as they come. Then the token is inspected and taken back, where that is offered.
// Reads its orders from standard input:
//   { resource, client_id, auth: post|jwt|tls, secret, key, kid, dpop: ES256|EdDSA|none,
//     issuer (instead of the resource's), scope, audience, tls: { cert, key, ca }, introspect: { client_id, secret } }
// and prints what came of each step.
import { createPrivateKey, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';

globalThis.crypto ??= webcrypto; // Node 18
globalThis.CryptoKey ??= webcrypto.CryptoKey;
const oauth = await import('oauth4webapi');
const o = JSON.parse(readFileSync(0, 'utf8'));
const steps = {};
let nonces = 0;

// a request with a client certificate, as fetch() cannot make one
function viaTls(url, { method, headers, body }) {
    return new Promise((resolve, reject) => {
        const request = https.request(url, { method, headers: Object.fromEntries(new Headers(headers)), ...o.tls }, (answer) => {
            const parts = [];
            answer.on('data', (part) => parts.push(part));
            answer.on('end', () => resolve(new Response(parts.length ? Buffer.concat(parts) : null, {
                status: answer.statusCode,
                headers: Object.entries(answer.headers).flatMap(([k, v]) => [v].flat().map((one) => [k, one])),
            })));
        });
        request.on('error', reject);
        request.end(body ? String(body) : undefined);
    });
}
const plain = { [oauth.allowInsecureRequests]: true, ...(o.tls ? { [oauth.customFetch]: viaTls } : {}) };

async function importedKey() {
    const der = createPrivateKey(o.key).export({ format: 'der', type: 'pkcs8' });
    return crypto.subtle.importKey('pkcs8', der, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
}
const auths = {
    post: () => oauth.ClientSecretPost(o.secret),
    jwt: async () => oauth.PrivateKeyJwt({ key: await importedKey(), kid: o.kid }),
    tls: () => oauth.TlsClientAuth(),
};

function told(e) {
    return { failed: e.constructor.name, error: e.error, status: e.status ?? e.response?.status,
             challenges: Array.isArray(e.cause) ? e.cause.map((c) => ({ scheme: c.scheme, ...c.parameters })) : undefined,
             message: e.error ? undefined : e.message, why: e.cause?.message };
}

// once more where the server wants a nonce of its own; the handle remembers it
async function twice(what) {
    try {
        return await what();
    } catch (e) {
        if (!oauth.isDPoPNonceError(e)) throw e;
        nonces++;
        return what();
    }
}

async function step(name, what) {
    try {
        return steps[name] = await what();
    } catch (e) {
        steps[name] = told(e);
        return undefined;
    }
}

const client = { client_id: o.client_id };
const keys = o.dpop !== 'none' && await oauth.generateKeyPair(o.dpop === 'EdDSA' ? 'Ed25519' : o.dpop);
const DPoP = keys && oauth.DPoP(client, keys);
const resource = new URL(o.resource);
const ask = async (token, options) => {
    const r = await oauth.protectedResourceRequest(token, 'GET', resource, new Headers(), null, { ...plain, ...options });
    return { status: r.status, text: (await r.text()).slice(0, 40) };
};

// what the resource says to somebody without a token
await step('challenge', async () => {
    const r = await (o.tls ? viaTls(resource, { method: 'GET', headers: {} }) : fetch(resource));
    return { status: r.status, header: r.headers.get('www-authenticate') };
});
let issuer = o.issuer;
if (!issuer) {
    const found = await step('resource', async () => oauth.processResourceDiscoveryResponse(
        resource, await oauth.resourceDiscoveryRequest(resource, plain)));
    issuer = found?.authorization_servers?.[0];
}
const as = issuer && await step('as', async () => oauth.processDiscoveryResponse(
    new URL(issuer), await oauth.discoveryRequest(new URL(issuer), { algorithm: o.oidc ? 'oidc' : 'oauth2', ...plain })));
const options = { ...plain, ...(DPoP ? { DPoP } : {}) };
const form = new URLSearchParams(Object.entries({ scope: o.scope, resource: o.audience }).filter(([, v]) => v));
const result = as && await step('token', () => twice(async () => oauth.processClientCredentialsResponse(
    as, client, await oauth.clientCredentialsGrantRequest(as, client, await auths[o.auth](), form, options))));

if (result?.access_token) {
    const token = result.access_token;
    await step('use', () => twice(() => ask(token, options)));
    await step('again', () => twice(() => ask(token, options)));
    await step('bearer', () => ask(token, plain));
    if (keys) {
        const other = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
        await step('thief', () => twice(() => ask(token, { ...plain, DPoP: other })));
    }
    if (as.introspection_endpoint && o.introspect) {
        const who = { client_id: o.introspect.client_id };
        const look = async () => oauth.processIntrospectionResponse(as, who, await oauth.introspectionRequest(
            as, who, oauth.ClientSecretPost(o.introspect.secret), token, plain));
        await step('active', look);
        await step('revoke', async () => {
            await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, await auths[o.auth](), token, plain));
            return { done: true };
        });
        await step('inactive', async () => { // every process knows within two seconds
            for (let i = 0; i < 600; i++) {
                const said = await look();
                if (!said.active) return said;
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
            return look();
        });
    }
}
steps.nonces = nonces;
console.log(JSON.stringify(steps));
