# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# Another verifier that is not ours (Python's jwt), with the same orders as verify.mjs.
import json
import sys

import jwt

results = []
for o in json.load(sys.stdin):
    try:
        header = jwt.get_unverified_header(o["token"])
        key = jwt.PyJWKClient(o["jwks_uri"]).get_signing_key_from_jwt(o["token"])
        claims = jwt.decode(o["token"], key.key, algorithms=[header["alg"]],
                            audience=o["audience"], issuer=o["issuer"],
                            options={"require": ["exp", "iat", "nbf", "iss", "aud", "sub", "jti"]})
        results.append({"header": header, "claims": claims})
    except Exception as e:
        results.append({"failed": type(e).__name__})
print(json.dumps(results))
