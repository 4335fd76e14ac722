/** Tenants: whose a stream or a source is, and what the configuration may say of it. */
import assert from "node:assert/strict";
import { parseConfig } from "../config/config.ts";
import { ownersOf } from "../events/tenants.ts";

Deno.test("the longest beginning says whose a stream is; what none names is the installation's", () => {
  const { divided, ofStream, ofSource } = ownersOf({
    acme: { streams: ["commits/a-", "inbox//shared/acme"], sources: ["/acme/"] },
    beta: { streams: ["commits/a-b-"], sources: ["/acme/beta/"] },
  });
  assert.ok(divided);
  for (
    const [stream, tenant] of [
      ["commits/a-x", "acme"],
      ["commits/a-b-x", "beta"],
      ["commits/x", "default"],
      ["benchmarks/commits/a-x", "default"],
      ["inbox//acme/door", "acme"],
      ["inbox//acme/beta/door", "beta"],
      ["inbox//shared/acme-door", "acme"],
      ["inbox//doors", "default"],
    ] as const
  ) assert.equal(ofStream(stream), tenant, stream);
  assert.equal(ofSource("/acme/door"), "acme");
  assert.equal(ofSource("/acme"), "default");
  assert.equal(ownersOf({ acme: { streams: [], sources: [] } }).divided, false);
});

Deno.test("what tenants cannot have is told with its line", () => {
  for (
    const [tenants, told] of [
      ["{ acme: { streams: [identity/] } }", /domain/],
      ["{ acme: { streams: [kernel/x] } }", /domain/],
      ["{ acme: { streams: [commits] } }", /domain/],
      ["{ acme: { sources: ['/a b'] } }", /beginning of a source/],
      ["{ acme: { streams: [commits/a] }, beta: { streams: [commits/a] } }", /commits\/a is acme's already/],
      ["{ default: { streams: [commits/a] } }", /names nothing/],
      [`{ acme: { streams: [${Array.from({ length: 101 }, (_, i) => `commits/${i}`).join(", ")}] } }`, /list of/],
      ["{ Acme: {} }", /tenants/],
    ] as const
  ) {
    const parsed = parseConfig(`identity:\n  tenants: ${tenants}\n`, "daybook.yaml", {});
    assert.ok(!parsed.ok, tenants);
    assert.match(JSON.stringify(parsed), told);
  }
});
