// SPDX-License-Identifier: Apache-2.0
// Copyright The mod_m2mgw authors
//
// A verifier that is not ours (npm jose): tokens of our M2M server by its published keys.
// Reads a list of { jwks_uri, issuer, audience, token } from standard input; prints a list of
// { header, claims } or { failed }.
import { webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';

globalThis.crypto ??= webcrypto; // Node 18
const { createRemoteJWKSet, jwtVerify } = await import('jose');
const results = [];
for (const o of JSON.parse(readFileSync(0, 'utf8'))) {
    try {
        const keys = createRemoteJWKSet(new URL(o.jwks_uri));
        const { protectedHeader, payload } = await jwtVerify(o.token, keys, {
            issuer: o.issuer, audience: o.audience, typ: 'at+jwt',
            requiredClaims: ['sub', 'client_id', 'jti', 'iat', 'nbf', 'exp', 'scope'],
        });
        results.push({ header: protectedHeader, claims: payload });
    } catch (e) {
        results.push({ failed: e.code ?? String(e) });
    }
}
console.log(JSON.stringify(results));
