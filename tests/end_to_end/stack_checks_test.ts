/** Security checks and certificates of services that really run; openssl is the server that speaks TLS. */
import assert from "node:assert/strict";
import { connect } from "node:tls";
import { givenAuthority, withFolder } from "../certificates_given.ts";
import { installed, openssl } from "../installed_given.ts";
import { document, run } from "./cli_given.ts";
import { Stand } from "./stack_given.ts";
import { until } from "../until.ts";

interface Found {
  readonly service: string;
  readonly check: string;
  readonly severity: string;
  readonly policy: string;
  readonly because: string;
}

const findingsOf = async ({ program: { url, token } }: Stand): Promise<readonly Found[]> => {
  const response = await fetch(`${url}/views/services.findings?limit=500`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const { rows = [] } = await response.json() as { rows?: { row: Found }[] };
  return rows.map(({ row }) => row).filter(({ check }) => check !== "runs_as_root"); // as who runs the tests
};

const alertsOf = async ({ program: { url, token } }: Stand): Promise<readonly string[]> => {
  const response = await fetch(`${url}/views/alerts.inbox?limit=500`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const { rows = [] } = await response.json() as { rows?: { row: { rule: string; state: string } }[] };
  return rows.filter(({ row }) => row.rule === "service-unsafe").map(({ row }) => row.state);
};

const freePort = (): number => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
};

Deno.test({
  name: "what is not safe is told or refused, seen in a view, ps and why, and clears when it is put right",
  ignore: openssl === undefined,
  fn: () =>
    withFolder(async (folder) => {
      const authority = await givenAuthority();
      const past = await authority.issue("past", ["server"], { from: -172_800_000, until: -86_400_000 });
      Deno.writeTextFileSync(`${folder}/cert`, past.cert);
      Deno.writeTextFileSync(`${folder}/key`, past.key, { mode: 0o600 });
      Deno.writeTextFileSync(`${folder}/secret`, "s3cret-value", { mode: 0o644 });
      const ports = { past: freePort(), open: freePort() };
      const yaml = () => `
stack: { checks: { every_ms: 1000, findings: { certificate_expired: warn } } }
services:
  locked:
    command: sleep
    arguments: ["600"]
    requires: [JWT_SECRET_KEY]
    restart: { policy: no }
  past:
    command: openssl
    arguments: [s_server, -accept, "127.0.0.1:${ports.past}", -cert, ${folder}/cert, -key, ${folder}/key, -www, -quiet]
    environment: { SECRET: { file: ${folder}/secret }, DB: "postgres://me:s3cret-value@db.internal/app" }
    tls: { port: ${ports.past}, certificate: ${folder}/cert, key: ${folder}/key }
  open:
    command: openssl
    arguments: [s_server, -accept, "${ports.open}", -cert, ${folder}/cert, -key, ${folder}/key, -www, -quiet]
    checks: { listens_everywhere: refuse }
    restart: { policy: no }
`;
      await Stand.with(yaml, async (stand) => {
        await stand.start();
        const found = async () =>
          (await findingsOf(stand)).map(({ service, check, severity, policy }) =>
            `${service} ${check} ${severity} ${policy}`
          )
            .toSorted();
        const expected = [
          "locked secret_missing high refuse",
          "open listens_everywhere high refuse",
          "past certificate_expired high warn",
          "past secret_readable high warn",
          "past url_plain high warn",
        ];
        await until("these findings", found, (all) => all.join() === expected.join());
        const rows = await stand.until((rows) =>
          rows.length === 3 && rows.every(({ state }) => state === "failed" || state === "healthy") &&
          rows.filter(({ state }) => state === "failed").length === 2
        );
        assert.equal(rows.find(({ service }) => service === "past")!.state, "healthy");
        const [locked, open] = ["locked", "open"].map((name) => rows.find(({ service }) => service === name)!);
        assert.match(locked!.because!, /secret_missing: JWT_SECRET_KEY is required and not set/);
        assert.equal(locked!.pid, undefined);
        assert.ok(open!.starts >= 1);

        const ps = await run(["ps", "--data", stand.data], {});
        assert.match(ps.out, /high {2}past certificate_expired: .* has ended at /);
        assert.match(ps.out, /high {2}locked secret_missing \(refused\): JWT_SECRET_KEY is required/);
        const why = await run(["why", "open", "--data", stand.data], {});
        assert.match(why.out, /listens_everywhere: it listens on/);
        // Nothing secret in any of it.
        const { out } = await run(["events", "--stream", "services/main", "--data", stand.data], {});
        assert.ok(!out.includes("s3cret-value"));

        Deno.chmodSync(`${folder}/secret`, 0o600);
        await until("one finding less", found, (all) => !all.includes("past secret_readable high warn"));
        await until("one is over", () =>
          alertsOf(stand), (all) =>
          all.toSorted().join() === "raised,raised,raised,raised,resolved");
        await stand.down();
      });
    }),
});

const served = (port: number, ca: string): Promise<{ readonly serial: string; readonly authorized: boolean }> => {
  const done = Promise.withResolvers<{ readonly serial: string; readonly authorized: boolean }>();
  const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca, rejectUnauthorized: false }, () => {
    done.resolve({ serial: socket.getPeerCertificate().serialNumber, authorized: socket.authorized });
    socket.destroy();
  });
  socket.on("error", done.reject);
  return done.promise;
};

Deno.test({
  name: "a service gets a certificate of the folder's own authority, 0600, and serves another one when it was renewed",
  ignore: openssl === undefined,
  fn: () => {
    const port = freePort();
    const yaml = (traces: string) => `
stack: { checks: { every_ms: 500 } }
services:
  web:
    command: /bin/sh
    arguments:
      - -c
      - 'echo "web $$DAYBOOK_NONCE $$$$" >> ${traces}; exec openssl s_server -accept 127.0.0.1:${port} -cert \${tls.certificate} -key \${tls.key} -www -quiet'
    tls: { port: ${port}, issued: [localhost, 127.0.0.1], renewed: restart }
    probes: { readiness: { tcp: { port: ${port} } } }
`;
    return Stand.with(yaml, async (stand) => {
      await stand.start();
      await stand.until((rows) => rows.some(({ state }) => state === "healthy"));
      const { certificate } = await document(["cert", "authority", "--data", stand.data], {}) as unknown as {
        readonly certificate: string;
      };
      const before = await served(port, certificate);
      assert.ok(before.authorized);
      for (const name of ["key", "certificate", "authority"]) {
        const { mode } = await Deno.stat(`${stand.data}/certificates/main.web/${name}.pem`);
        assert.equal(mode! & 0o777, 0o600);
      }
      const renewed = await run(["cert", "renew", "main.web", "--data", stand.data], {});
      assert.equal(renewed.code, 0, renewed.err);
      const now = () => served(port, certificate).catch(() => before);
      await until("the renewed one", now, ({ serial, authorized }) => serial !== before.serial && authorized);
      assert.deepEqual((await findingsOf(stand)).map(({ check }) => check), []);
      await stand.down();
    });
  },
});

const nginx = installed("nginx", "a signal that tells of a renewed certificate is not tried on it");

Deno.test({
  name: "nginx serves a renewed certificate after a signal, and is the same process",
  ignore: nginx === undefined,
  fn: () =>
    withFolder((folder) => {
      const port = freePort();
      const yaml = (traces: string) => `
services:
  web:
    command: /bin/sh
    arguments:
      - -c
      - 'echo "web $$DAYBOOK_NONCE $$$$" >> ${traces}; exec ${nginx} -p ${folder} -e ${folder}/error.log -c ${folder}/nginx.conf'
    tls: { port: ${port}, issued: [localhost], renewed: SIGHUP }
    probes: { readiness: { tcp: { port: ${port} } } }
`;
      return Stand.with(yaml, async (stand) => {
        const file = (name: string) => `${stand.data}/certificates/main.web/${name}.pem`;
        await Deno.writeTextFile(
          `${folder}/nginx.conf`,
          `daemon off; worker_processes 1; pid ${folder}/nginx.pid; events {}
http {
  access_log off;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  server { listen 127.0.0.1:${port} ssl; ssl_certificate ${file("certificate")}; ssl_certificate_key ${file("key")}; }
}
`,
        );
        await stand.start();
        const [first] = await stand.until((rows) => rows.some(({ state }) => state === "healthy"));
        const { certificate } = await document(["cert", "authority", "--data", stand.data], {}) as unknown as {
          readonly certificate: string;
        };
        const before = await served(port, certificate);
        assert.ok(before.authorized);
        const renewed = await run(["cert", "renew", "main.web", "--data", stand.data], {});
        assert.equal(renewed.code, 0, renewed.err);
        await until("another serial", () => served(port, certificate), ({ serial }) => serial !== before.serial);
        assert.ok((await served(port, certificate)).authorized);
        const [now] = await stand.board();
        assert.deepEqual([now!.pid, now!.starts, now!.state], [first!.pid, 1, "healthy"]);
        await stand.down();
      });
    }),
});
