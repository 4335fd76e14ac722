/** Certificates by commands, and the server that demands them: the real program, looked at with the real openssl. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { givenAuthority, runOpenssl } from "../certificates_given.ts";
import { openssl } from "../installed_given.ts";
import { document, run, withPlace } from "./cli_given.ts";
import { Program } from "./program.ts";
import { heard, until } from "../until.ts";

interface Listed {
  readonly name: string;
  readonly state: string;
  readonly renewals: number;
}

const listed = async (data: string) => {
  const { certificates } = await document(["cert", "list", "--data", data], {}) as unknown as {
    readonly certificates: readonly Listed[];
  };
  return certificates;
};

Deno.test("a certificate is issued, listed and renewed beside no server; openssl accepts it, and its key is in one file alone", () =>
  withPlace(async ({ data }) => {
    const issue = ["cert", "issue", "api", "--host", "localhost", "--host", "::1", "--data", data];
    const { exit, files } = await document(issue, {}) as unknown as { exit: number; files: readonly string[] };
    assert.equal(exit, 0);
    const [key, certificate, authority] = files as [string, string, string];
    for (const file of files) assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600, file);
    if (openssl) {
      assert.match((await runOpenssl(["verify", "-x509_strict", "-CAfile", authority, certificate])).out, /: OK\n/);
      const { out } = await runOpenssl(["x509", "-in", certificate, "-noout", "-ext", "extendedKeyUsage"]);
      assert.match(out, /TLS Web Server Authentication\n$/);
    }
    const first = await Deno.readTextFile(certificate);
    const nowhere = await run(["cert", "issue", "b", "--host", "localhost", "--out", key, "--data", data], {});
    assert.deepEqual([nowhere.code, nowhere.err], [2, `daybook: ${key} is no folder\n`]);
    const refused = await run(["cert", "issue", "a", "--host", "example.com", "--data", data], {});
    assert.deepEqual([refused.code, refused.err.trimEnd().split("\n").length], [1, 1], refused.err);
    assert.match(refused.err, /"example.com" lies outside of what the authority may certify: localhost, /);
    assert.equal((await run(["cert", "renew", "api", "--data", data], {})).code, 0);
    assert.notEqual(await Deno.readTextFile(certificate), first);
    assert.deepEqual((await listed(data)).map(({ name, state, renewals }) => [name, state, renewals]), [
      ["authority", "valid", 0],
      ["api", "valid", 1],
    ]);
    const shown = await run(["cert", "authority", "--data", data], {});
    assert.equal(shown.out, await Deno.readTextFile(authority));
    // What is secret is nowhere in the log.
    const secret = (await Deno.readTextFile(key)).split("\n")[1]!;
    const events = await run(["events", "--data", data], {});
    assert.ok(!events.out.includes(secret) && !events.out.includes("PRIVATE KEY"));
  }));

Deno.test("start with files that cannot be shown is wrong usage, and leaves no folder", () =>
  withPlace(async ({ dir, data }) => {
    const { cert, key } = await (await givenAuthority()).issue("a", ["server"]);
    const weak = generateKeyPairSync("rsa", {
      modulusLength: 1024,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    }).privateKey;
    for (const [name, text] of Object.entries({ cert, key, weak })) await Deno.writeTextFile(`${dir}/${name}`, text);
    for (const [certificate, key] of [["cert", "weak"], ["key", "key"], ["nowhere", "key"], ["cert", "nowhere"]]) {
      const files = ["--tls-cert", `${dir}/${certificate}`, "--tls-key", `${dir}/${key}`];
      const { code, err } = await run(["start", "--port", "0", ...files, "--data", data], {});
      assert.equal(code, 2, err);
      assert.match(err, /^daybook: server\.tls\.(certificate|key): .*\n$/);
      await assert.rejects(Deno.stat(data), Deno.errors.NotFound);
    }
  }));

const STRICT = {
  DAYBOOK__SERVER__TLS__ISSUED: "[localhost, 127.0.0.1, daybook.internal]",
  DAYBOOK__SERVER__TLS__CLIENTS: "ours",
  DAYBOOK__CERTIFICATES__LOOK_MS: "100",
};

interface Client {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly folder: string;
}

const clientOf = async (data: string, folder: string): Promise<Client> => {
  const ran = await run(["cert", "issue", "laptop", "--for", "client", "--out", folder, "--data", data], {});
  assert.equal(ran.code, 0, ran.err);
  const read = (name: string) => Deno.readTextFile(`${folder}/${name}.pem`);
  return { ca: await read("authority"), cert: await read("certificate"), key: await read("key"), folder };
};

const socketTo = (url: string, { ca, cert, key }: Client): Promise<TLSSocket> => {
  const open = Promise.withResolvers<TLSSocket>();
  const { port } = new URL(url);
  const options = { port: Number(port), host: "127.0.0.1", servername: "localhost", ca, cert, key };
  const socket = connect(options, () => open.resolve(socket));
  socket.on("error", open.reject);
  return open.promise;
};

const serialAt = async (url: string, client: Client): Promise<string> => {
  const socket = await socketTo(url, client);
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
};

Deno.test({
  name:
    "the server with certificates of its own authority refuses TLS 1.2 and clients without one, renews without losing a follower, and is found again",
  ignore: openssl === undefined,
  fn: () =>
    withPlace(async ({ dir, data }) => {
      let program = await Program.start(data, STRICT);
      try {
        assert.match(program.url, /^https:\/\/127\.0\.0\.1:\d+$/);
        const client = await clientOf(data, `${dir}/laptop`);
        const { port } = new URL(program.url);
        const speakTo = async (host: string, ...options: readonly string[]) => {
          const all = [
            "s_client",
            "-connect",
            `localhost:${port}`,
            "-CAfile",
            `${client.folder}/authority.pem`,
            ...options,
          ];
          const request = `GET /livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
          const { out } = await runOpenssl([...all, "-verify_return_error", "-ign_eof"], request);
          return /HTTP\/1\.1 \d+/.exec(out)?.[0];
        };
        const speak = (...options: readonly string[]) => speakTo("localhost", ...options);
        const own = ["-cert", `${client.folder}/certificate.pem`, "-key", `${client.folder}/key.pem`];
        assert.equal(await speak("-tls1_3", ...own), "HTTP/1.1 200");
        assert.equal(await speakTo("daybook.internal", ...own), "HTTP/1.1 200");
        assert.equal(await speakTo("elsewhere.internal", ...own), "HTTP/1.1 421");
        assert.equal(await speak("-tls1_2", ...own), undefined);
        assert.equal(await speak("-tls1_3"), undefined);

        const { token } = program;
        using fetching = Deno.createHttpClient({ caCerts: [client.ca], cert: client.cert, key: client.key });
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/cloudevents+json" };
        const send = async (id: string) => {
          const body = JSON.stringify({ specversion: "1.0", id, source: "/t", type: "doors.door.opened", data: {} });
          const { status, body: said } = await fetch(`${program.url}/events`, {
            method: "POST",
            client: fetching,
            headers,
            body,
          });
          await said?.cancel();
          return status;
        };
        // Not even an administrator has certificates issued from elsewhere.
        for (const operation of ["issue-certificate", "renew-certificate"]) {
          const asked = await fetch(`${program.url}/operations/${operation}`, {
            method: "POST",
            client: fetching,
            headers: { ...headers, "content-type": "application/json" },
            body: "{}",
          });
          assert.equal(asked.status, 403);
          await asked.body?.cancel();
        }
        const following = await fetch(`${program.url}/follow`, { client: fetching, headers });
        const reader = following.body!.pipeThrough(new TextDecoderStream()).getReader();
        let sofar = "";
        const hears = async (id: string) => {
          const told = `"id":"${id}"`;
          if (!sofar.includes(told)) sofar += await heard(told, reader, (more) => (sofar + more).includes(told));
        };
        assert.equal(await send("before"), 201);
        await hears("before");
        const before = await serialAt(program.url, client);
        const renewed = await run(["cert", "renew", "listener", "--data", data], {});
        assert.equal(renewed.code, 0, renewed.err);
        const after = await serialAt(program.url, client);
        assert.notEqual(after, before);
        assert.equal(await send("after"), 201);
        await hears("after");
        await reader.cancel();

        await program.end("SIGKILL");
        program = await Program.start(data, STRICT);
        assert.equal(await serialAt(program.url, client), after);
        const rows = await listed(data);
        assert.deepEqual(rows.find(({ name }) => name === "listener")?.renewals, 1);
      } finally {
        await program.end("SIGKILL");
      }
    }),
});

Deno.test("a certificate that the server keeps is renewed before it ends, again and again", () =>
  withPlace(async ({ dir, data }) => {
    const short = { DAYBOOK__CERTIFICATES__VALID_MS: "60000", DAYBOOK__CERTIFICATES__RENEW_MS: "59999" };
    const program = await Program.start(data, { ...STRICT, ...short });
    try {
      const client = await clientOf(data, `${dir}/laptop`);
      const serials = new Set<string>();
      const look = async () => serials.add(await serialAt(program.url, client));
      await until("three serials", look, ({ size }) => size >= 3);
      assert.ok((await listed(data)).find(({ name }) => name === "listener")!.renewals >= 2);
    } finally {
      await program.end("SIGKILL");
    }
  }));

Deno.test("that a certificate from elsewhere ends soon is told, once, and is an alert until another one is in its file", () =>
  withPlace(async ({ dir, data }) => {
    const other = `${dir}/other`;
    const out = `${dir}/pair`;
    const issue = async (...more: readonly string[]) => {
      const ran = await run(["cert", "issue", "x", "--host", "localhost", "--out", out, "--data", other, ...more], {});
      assert.equal(ran.code, 0, ran.err);
    };
    await issue();
    const program = await Program.start(data, {
      DAYBOOK__SERVER__TLS__CERTIFICATE: `${out}/certificate.pem`,
      DAYBOOK__SERVER__TLS__KEY: `{ file: ${out}/key.pem }`,
      DAYBOOK__SERVER__TLS__MIN_VERSION: "TLSv1.3",
      DAYBOOK__CERTIFICATES__LOOK_MS: "100",
      // Long enough that what is valid for a month ends soon.
      DAYBOOK__CERTIFICATES__SOON_MS: String(40 * 86_400_000),
    });
    try {
      const types = async (stream: string) => {
        const ran = await run(["events", "--stream", stream, "--json", "--data", data], {});
        return (JSON.parse(ran.out) as { events: readonly { type: string }[] }).events.map(({ type }) => type);
      };
      const alerted = async (type: string) => {
        await until(type, () => types("alerts/certificate-ends-soon"), (all) => all.includes(type));
      };
      const told = async (...expected: readonly string[]) => {
        const look = async () => {
          const found = (await types("certificates/listener")).filter((type) => type.startsWith("certificates."));
          assert.ok(found.length <= expected.length, found.join());
          return found;
        };
        await until(expected.join(), look, (found) => found.join() === expected.join());
      };
      await told("certificates.certificate.found", "certificates.expiry.neared");
      await alerted("alerts.alert.raised");
      await issue("--valid", "90d");
      await told("certificates.certificate.found", "certificates.expiry.neared", "certificates.certificate.found");
      await alerted("alerts.alert.resolved");
    } finally {
      await program.end("SIGKILL");
    }
  }));
