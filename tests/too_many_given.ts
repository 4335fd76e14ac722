/** What holds of every refusal of too much, whoever refuses. */
import assert from "node:assert/strict";

/** It says of which limit, by draft-ietf-httpapi-ratelimit-headers-10, and when to come again. */
export const checkTooMany = ({ headers }: { readonly headers: Headers }): string => {
  const [wait, policy, limit] = ["retry-after", "ratelimit-policy", "ratelimit"].map((name) => headers.get(name) ?? "");
  assert.match(wait!, /^[1-9]\d*$/);
  const [, name] = /^"([a-z_]+)";q=[1-9]\d*(?:;w=[1-9]\d*)?$/.exec(policy!) ??
    assert.fail(`RateLimit-Policy: ${policy}`);
  assert.equal(limit, `"${name}";r=0;t=${wait}`);
  return name!;
};
