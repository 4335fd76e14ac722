/** What the listener shows: files that cannot be shown are refused with the key that names them, later ones are taken up. */
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { Usage } from "../adapters/cli/call.ts";
import { KeptCertificates } from "../adapters/program/certificates/kept.ts";
import { listenerTls } from "../adapters/program/certificates/listener.ts";
import { openSystem } from "../adapters/program/daybook.ts";
import { systemClock } from "../adapters/system/world.ts";
import type { StrictTls } from "../adapters/http/strict_tls.ts";
import { signsHandshakes } from "../adapters/x509/certificate.ts";
import { parseConfig } from "../config/config.ts";
import { givenAuthority, withFolder, written } from "./certificates_given.ts";

const withListener = (
  work: (
    folder: string,
    listener: (tls: string) => ReturnType<typeof listenerTls>,
    keeper: KeptCertificates,
  ) => Promise<void>,
) =>
  withFolder(async (folder) => {
    const opened = await openSystem({ data: ":memory:" });
    const keeper = new KeptCertificates({ parts: opened, clock: systemClock, data: folder, report: () => {} });
    try {
      await work(folder, (tls) => {
        const parsed = parseConfig(`server: { tls: ${tls} }\n`, `${folder}/c.yaml`, {});
        assert.ok(parsed.ok, JSON.stringify(parsed));
        const secret = async (reference: object) =>
          "file" in reference ? await Deno.readTextFile(`${folder}/${reference.file}`) : undefined;
        const settings = { config: parsed.config, file: `${folder}/c.yaml` };
        return listenerTls({ settings, parts: opened, keeper, secret });
      }, keeper);
    } finally {
      await opened.daybook.close();
    }
  });

Deno.test("what cannot be shown is wrong usage that names its key", () =>
  withListener(async (folder, listener) => {
    const authority = await givenAuthority();
    const [one, two] = [await authority.issue("a", ["server"]), await authority.issue("b", ["server"])];
    written(folder, {
      cert: one.cert,
      key: one.key,
      other: two.key,
      none: "none\n",
      empty: "",
      sealed: "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHs\n-----END ENCRYPTED PRIVATE KEY-----\n",
      older: one.key.replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n"),
      ca: authority.certificate,
      broken: `${one.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    });
    const wrong: readonly (readonly [string, RegExp])[] = [
      ["{ certificate: nowhere, key: { file: key } }", /^server\.tls\.certificate: cannot read .*nowhere/],
      ["{ certificate: none, key: { file: key } }", /^server\.tls\.certificate: .* holds no certificates/],
      ["{ certificate: cert, key: { file: nowhere } }", /^server\.tls\.key: it cannot be read/],
      ["{ certificate: cert, key: { file: empty } }", /^server\.tls\.key: it is not there, or empty/],
      ["{ certificate: cert, key: { env: NOWHERE } }", /^server\.tls\.key: it is not there, or empty/],
      ["{ certificate: cert, key: { file: other } }", /^server\.tls\.key: it is not the key of the certificate/],
      ["{ certificate: cert, key: { file: sealed } }", /^server\.tls\.key: it is encrypted under a passphrase/],
      ["{ certificate: cert, key: { file: older } }", /^server\.tls\.key: it is encrypted under a passphrase/],
      ["{ certificate: cert, key: { file: none } }", /^server\.tls\.key: it is not the key/],
      ["{ certificate: broken, key: { file: key } }", /^server\.tls\.certificate: .* holds no certificates/],
      ["{ issued: [localhost], clients: { file: nowhere } }", /^server\.tls\.clients: cannot read/],
      ["{ issued: [localhost], clients: { file: none } }", /^server\.tls\.clients: .* holds no certificates/],
      ["{ issued: [localhost], clients: { file: empty } }", /^server\.tls\.clients: .* holds no certificates/],
      ["{ issued: [localhost], clients: { file: key } }", /^server\.tls\.clients: .* holds no certificates/],
      ["{ issued: [example.com] }", /^server\.tls\.issued: "example\.com" lies outside/],
    ];
    for (const [tls, says] of wrong) {
      await assert.rejects(
        listener(tls),
        (error) => error instanceof Usage && says.test(error.message) && !error.message.includes("PRIVATE KEY"),
        tls,
      );
    }
    assert.equal((await listener("{ certificate: cert, key: { file: key } }"))!.strict, false);
    assert.equal((await listener("{ certificate: cert, key: { file: key }, clients: { file: ca } }"))!.strict, true);
    assert.equal((await listener("{ certificate: cert, key: { file: key }, min_version: TLSv1.3 }"))!.strict, true);
    assert.equal(await listener("{}"), undefined);
  }));

Deno.test("other files are taken up when they belong together, authorities of clients too", () =>
  withListener(async (folder, listener, keeper) => {
    const [authority, other] = [await givenAuthority(), await givenAuthority()];
    const [one, two] = [await authority.issue("a", ["server"]), await authority.issue("b", ["server"])];
    written(folder, { cert: one.cert, key: one.key, ca: authority.certificate });
    const tls = (await listener("{ certificate: cert, key: { file: key }, clients: { file: ca } }"))!;
    const taken: StrictTls[] = [];
    tls.follow((next) => void taken.push(next));
    assert.deepEqual(tls.present(), { ...one, clients: authority.certificate });
    const look = () => keeper.look();
    await look();
    written(folder, { cert: two.cert });
    await look();
    assert.deepEqual(taken, [], "its key is not there yet");
    written(folder, { key: two.key });
    await look();
    assert.deepEqual(taken, [{ ...two, clients: authority.certificate }]);
    written(folder, { ca: other.certificate });
    await look();
    assert.deepEqual(taken[1], { ...two, clients: other.certificate });
    assert.deepEqual(tls.present(), taken[1]);
  }));

Deno.test("a key that no handshake could be signed with is known", () => {
  const pem = ({ privateKey }: { readonly privateKey: KeyObject }) =>
    `${privateKey.export({ type: "pkcs8", format: "pem" })}`;
  const rsa = (modulusLength: number) => pem(generateKeyPairSync("rsa", { modulusLength }));
  const curve = (namedCurve: string) => pem(generateKeyPairSync("ec", { namedCurve }));
  const edwards = pem(generateKeyPairSync("ed25519"));
  for (const key of [rsa(2048), curve("P-256"), curve("P-384"), curve("P-521"), edwards]) {
    assert.ok(signsHandshakes(key));
  }
  for (const key of [rsa(1024), curve("secp256k1")]) assert.ok(!signsHandshakes(key));
});
