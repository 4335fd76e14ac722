import assert from "node:assert/strict";
import { providerGrants } from "../../adapters/cli/provider_grants.ts";
import { parseConfig } from "../../config/config.ts";
import { PROVIDERS_MAX } from "../../config/providers.ts";

const parsed = (lines: string) => parseConfig(`identity:\n  providers:\n${lines}`, "daybook.yaml", {});
const problems = (lines: string): readonly string[] => {
  const read = parsed(lines);
  return read.ok ? [] : read.problems.map(({ path, line, expected }) => `${path}@${line}: ${expected}`);
};
const CORP = "{ name: corp, kind: oidc, issuer: https://id.example.com, client_id: us }";

Deno.test("a provider says who it is, and the rest has defaults", () => {
  const read = parsed(`    - ${CORP}\n`);
  assert.ok(read.ok);
  assert.deepEqual(read.config.identity.providers, [{
    name: "corp",
    kind: "oidc",
    issuer: "https://id.example.com",
    client_id: "us",
    client_secret: null,
    scopes: ["openid", "profile", "email"],
    hosts: [],
    ca: null,
    title: null,
    groups: "groups",
    roles: {},
    create: false,
    tenant: "default",
  }]);
});

Deno.test("what is wrong with a provider is said with its line and place", () => {
  const oidc = (more: string) =>
    `    - { name: corp, kind: oidc, issuer: https://id.example.com, client_id: us, ${more} }\n`;
  assert.deepEqual(problems("    - { name: corp, kind: ldap }\n"), ["identity.providers.0.kind@3: one of oidc, saml"]);
  for (const issuer of ["http://id.example.com", "ftp://127.0.0.1", "id.example.com"]) {
    const [problem] = problems(`    - { name: corp, kind: oidc, issuer: "${issuer}", client_id: us }\n`);
    assert.match(problem!, /^identity\.providers\.0\.issuer@3: /, issuer);
  }
  assert.deepEqual(problems("    - { name: corp, kind: oidc, issuer: http://127.0.0.1:4000, client_id: us }\n"), []);
  assert.match(problems(oidc("scopes: [profile]"))[0]!, /^identity\.providers\.0\.scopes@3: /);
  assert.match(problems(oidc("hosts: ['a b']"))[0]!, /^identity\.providers\.0\.hosts\.0@3: host or host:port/);
  assert.match(problems(oidc("client_secret: hidden"))[0]!, /^identity\.providers\.0\.client_secret@3: /);
  assert.match(problems(`    - ${CORP}\n    - ${CORP}\n`)[0]!, /^identity\.providers\.1\.name@4: no two providers/);
  const many = Array.from({ length: PROVIDERS_MAX + 1 }, (_, i) => `    - ${CORP.replace("corp", `corp${i}`)}\n`);
  assert.match(problems(many.join(""))[0]!, /^identity\.providers@/);
});

Deno.test("a provider of SAML says where it is, what it is called and what it signs with, and nothing is asked of it", () => {
  const works = "name: works, kind: saml, entry_point: https://idp.example/sso, issuer: https://idp.example";
  const read = parsed(`    - { ${works}, certificate: { file: works.pem } }\n`);
  assert.ok(read.ok);
  const [provider] = read.config.identity.providers;
  assert.ok(provider?.kind === "saml" && provider.entity_id === null && provider.username === null);
  assert.deepEqual(providerGrants({ file: "daybook.yaml", config: read.config } as never), { net: [] });
  assert.match(
    problems(`    - { ${works} }\n`)[0]!,
    /^identity\.providers\.0\.certificate@3: /,
  );
  const [entry] = problems(
    `    - { ${works.replace("https://idp.example/sso", "http://idp.example/sso")}, certificate: { env: X } }\n`,
  );
  assert.match(entry!, /^identity\.providers\.0\.entry_point@3: /);
});

Deno.test("the server may ask the hosts of its providers, and no other", () => {
  const read = parsed(
    `    - { name: corp, kind: oidc, issuer: https://id.example.com/realms/a, client_id: us, hosts: [keys.example.com, tokens.example.com:8443] }\n`,
  );
  assert.ok(read.ok);
  assert.deepEqual(providerGrants({ file: "daybook.yaml", config: read.config } as never), {
    net: ["id.example.com:443", "keys.example.com:443", "tokens.example.com:8443"],
  });
});
