/** What the server's own listener shows, and whom it lets in: files that were given, or what the folder's own authority issues. */
import { Usage } from "../../cli/call.ts";
import { Refused } from "../../cli/runtime.ts";
import { inFolderOf, type Settings } from "../../cli/settings.ts";
import type { StrictTls } from "../../http/strict_tls.ts";
import { areCertificates, belongTogether, readCertificate } from "../../x509/certificate.ts";
import { authorityOf, type IssuingParts, note } from "./issuer.ts";
import type { KeptCertificates } from "./kept.ts";

/** Name of the listener's certificate. */
export const LISTENER = "listener";

export interface ListenerTls {
  /** TLS 1.3 alone, or certificates of clients, or renewals: more than the platform's own listener can. */
  readonly strict: boolean;
  /** What is to be shown now. */
  present(): StrictTls;
  /** Has what follows shown too, from now on. */
  follow(renew: (tls: StrictTls) => void): void;
}

export interface ListenerOptions {
  readonly settings: Settings;
  readonly parts: IssuingParts;
  readonly keeper: KeptCertificates;
  readonly secret: (reference: Reference) => Promise<string | undefined>;
}

/** `undefined`: in the clear. Throws `Usage` for what cannot be shown. */
export const listenerTls = async (options: ListenerOptions): Promise<ListenerTls | undefined> => {
  const { settings, parts, keeper, secret } = options;
  const { certificate, key, issued, clients, min_version } = settings.config.server.tls;
  if (certificate === null && issued.length === 0) return undefined;
  const fileOf = async (key: string, path: string): Promise<string> => {
    const file = inFolderOf(settings.file, path);
    const text = await Deno.readTextFile(file).catch((error) => {
      throw new Usage(`server.tls.${key}: cannot read ${file}: ${error.message}`);
    });
    // Beside a certificate its key may stand; beside authorities nothing has a place.
    const fit = key === "clients" ? areCertificates(text) : readCertificate(text) !== undefined;
    if (!fit) throw new Usage(`server.tls.${key}: ${file} holds no certificates, PEM`);
    return text;
  };
  const given = async (path: string): Promise<Pick<StrictTls, "cert" | "key">> => {
    const pair = { cert: await fileOf("certificate", path), key: await keyOf(secret, key!) };
    if (!belongTogether(pair.cert, pair.key)) throw new Usage("server.tls.key: it is not the key of the certificate");
    await note(parts, LISTENER, pair.cert);
    return pair;
  };
  const own = async (): Promise<Pick<StrictTls, "cert" | "key">> => {
    if (certificate !== null) return await given(certificate);
    const pair = await keeper.keep({ name: LISTENER, names: issued, uses: ["server"] });
    return { cert: pair.certificate, key: pair.key };
  };
  const read = async (): Promise<StrictTls> => {
    const pair = await own();
    if (clients === null) return pair;
    const ours = clients === "ours";
    return { ...pair, clients: ours ? (await authorityOf(parts)).certificate : await fileOf("clients", clients.file) };
  };
  const strict = issued.length > 0 || clients !== null || min_version === "TLSv1.3";
  let renew: (tls: StrictTls) => void = () => {};
  let present: StrictTls;
  const taken = (tls: StrictTls) => {
    renew(tls);
    present = tls;
  };
  present = await refusedAsUsage(() => strict ? keeper.watch(LISTENER, read, taken) : read());
  return { strict, present: () => present, follow: (next) => void (renew = next) };
};

type Reference = NonNullable<Settings["config"]["server"]["tls"]["key"]>;

const keyOf = async (secret: ListenerOptions["secret"], reference: Reference): Promise<string> => {
  const key = await secret(reference).catch((error) => {
    throw new Usage(`server.tls.key: it cannot be read: ${error.message}`);
  });
  if (!key) throw new Usage("server.tls.key: it is not there, or empty");
  return key;
};

const refusedAsUsage = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refused) throw new Usage(`server.tls.issued: ${error.message}`);
    throw error;
  }
};
