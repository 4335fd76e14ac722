/** Certificates as the authority makes them, looked at by openssl. */
import assert from "node:assert/strict";
import { belongTogether, isFor, isSignedBy, readCertificate } from "../adapters/x509/certificate.ts";
import { isPermitted } from "../adapters/x509/names.ts";
import { givenAuthority, runOpenssl, withFolder, written } from "./certificates_given.ts";
import { openssl } from "./installed_given.ts";

const verified = async (authority: string, cert: string, purpose?: string): Promise<string> => {
  let said = "";
  await withFolder(async (folder) => {
    const { ca, leaf } = written(folder, { ca: authority, leaf: cert });
    const { code, out, err } = await runOpenssl([
      "verify",
      "-x509_strict",
      ...(purpose === undefined ? [] : ["-purpose", purpose]),
      "-CAfile",
      ca,
      leaf,
    ]);
    said = code === 0 ? "OK" : /error \d+ at \d+ depth lookup: (.*)/.exec(out + err)?.[1] ?? out + err;
  });
  return said;
};

Deno.test({
  name: "openssl accepts what the authority has certified, for what it is and for nothing else",
  ignore: openssl === undefined,
  async fn() {
    const { certificate, issue } = await givenAuthority();
    const server = await issue("server", ["server"], { names: ["localhost", "api.internal", "127.0.0.1", "::1"] });
    assert.equal(await verified(certificate, server.cert, "sslserver"), "OK");
    assert.equal(await verified(certificate, server.cert, "sslclient"), "unsuitable certificate purpose");
    const client = await issue("client", ["client"], { names: [] });
    assert.equal(await verified(certificate, client.cert, "sslclient"), "OK");
    assert.equal(await verified(certificate, client.cert, "sslserver"), "unsuitable certificate purpose");
    const both = await issue("both", ["server", "client"]);
    assert.equal(await verified(certificate, both.cert, "sslserver"), "OK");
    assert.equal(await verified(certificate, both.cert, "sslclient"), "OK");
  },
});

Deno.test({
  name: "openssl refuses what lies outside of the authority's name constraints, and what another has signed",
  ignore: openssl === undefined,
  async fn() {
    const { certificate, issue } = await givenAuthority();
    for (const name of ["example.com", "10.0.0.1", "2001:db8::1", "notlocalhost"]) {
      assert.equal(
        await verified(certificate, (await issue("bad", ["server"], { names: [name] })).cert),
        "permitted subtree violation",
        name,
      );
    }
    const other = await givenAuthority();
    assert.notEqual(await verified(other.certificate, (await issue("a", ["server"])).cert), "OK");
    // Limits of one kind alone leave nothing of the other.
    const names = await givenAuthority(["internal"]);
    assert.notEqual(
      await verified(names.certificate, (await names.issue("a", ["server"], { names: ["127.0.0.1"] })).cert),
      "OK",
    );
    const ranges = await givenAuthority(["10.0.0.0/8"]);
    assert.equal(
      await verified(ranges.certificate, (await ranges.issue("a", ["server"], { names: ["10.1.2.3"] })).cert),
      "OK",
    );
    assert.notEqual(
      await verified(ranges.certificate, (await ranges.issue("a", ["server"], { names: ["localhost"] })).cert),
      "OK",
    );
  },
});

Deno.test("a certificate is read as it was made", async () => {
  const { certificate, issue } = await givenAuthority();
  const { cert, key } = await issue("server", ["server"], { names: ["a.internal", "127.0.0.1", "::1"] });
  const read = readCertificate(cert)!;
  assert.deepEqual(read.names, ["a.internal", "127.0.0.1", "::1"]);
  assert.match(read.serial, /^[0-9a-f]{32}$/);
  assert.match(read.fingerprint, /^[0-9a-f]{64}$/);
  assert.ok(read.not_before_ms < Date.now() && read.not_after_ms > Date.now());
  assert.ok(belongTogether(cert, key));
  assert.ok(!belongTogether(cert, (await issue("other", ["server"])).key));
  assert.ok(isSignedBy(cert, certificate));
  assert.ok(!isSignedBy(cert, (await givenAuthority()).certificate));
  assert.ok(isFor(cert, "a.internal") && isFor(cert, "::1") && !isFor(cert, "b.internal") && !isFor(cert, "127.0.0.2"));
});

Deno.test("what is no certificate is none, and nothing is thrown for it", () => {
  for (const text of ["", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]) {
    assert.equal(readCertificate(text), undefined);
    assert.ok(!belongTogether(text, text) && !isSignedBy(text, text) && !isFor(text, "localhost"));
  }
});

Deno.test("no certificate outlives its authority", async () => {
  const { certificate, issue } = await givenAuthority();
  const { cert } = await issue("long", ["server"], { until: 100 * 366 * 86_400_000 });
  assert.equal(readCertificate(cert)!.not_after_ms, readCertificate(certificate)!.not_after_ms);
});

Deno.test("what may be certified is a limit itself or lies below it", () => {
  const limits = ["localhost", "internal", "10.0.0.0/8", "::1/128"];
  for (const name of ["localhost", "a.localhost", "internal", "a.b.internal", "*.internal", "10.255.0.1", "::1"]) {
    assert.ok(isPermitted(name, limits), name);
  }
  for (const name of ["example.com", "xinternal", "11.0.0.1", "::2", "internal.com"]) {
    assert.ok(!isPermitted(name, limits), name);
  }
});
