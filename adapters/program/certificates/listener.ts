/** What the server's own listener shows, and whom it lets in: files that were given, or what the folder's own authority issues. */
import { Usage } from "../../cli/call.ts";
import { Refused } from "../../cli/runtime.ts";
import { inFolderOf, type Settings } from "../../cli/settings.ts";
import type { StrictTls } from "../../http/strict_tls.ts";
import { areCertificates, belongTogether, isChain, isEncrypted, signsHandshakes } from "../../x509/certificate.ts";
import { authorityOf, type IssuingParts, note } from "./issuer.ts";
import type { KeptCertificates } from "./kept.ts";

/** Name of the listener's certificate. */
const LISTENER = "listener";

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
  const files = filesOf(settings, secret);
  const own = async (): Promise<Pick<StrictTls, "cert" | "key">> => {
    if (certificate !== null) {
      const pair = await files.pair(certificate, key!);
      await note(parts, LISTENER, pair.cert);
      return pair;
    }
    const pair = await keeper.keep({ name: LISTENER, names: issued, uses: ["server"] });
    return { cert: pair.certificate, key: pair.key };
  };
  const read = async (): Promise<StrictTls> => {
    const pair = await own();
    if (clients === null) return pair;
    const ours = clients === "ours";
    return { ...pair, clients: ours ? (await authorityOf(parts)).certificate : await files.clients(clients.file) };
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

/** Throws `Usage` for files that cannot be shown, before anything is opened or made; a key that is stored is not known by then. */
export const refuseUnfit = async (settings: Settings, secret: ListenerOptions["secret"]): Promise<void> => {
  const { certificate, key, clients } = settings.config.server.tls;
  const files = filesOf(settings, secret);
  if (certificate !== null && !("stored" in key!)) await files.pair(certificate, key!);
  if (clients !== null && clients !== "ours") await files.clients(clients.file);
};

/** What was given to be shown, read anew each time. */
const filesOf = ({ file }: Pick<Settings, "file">, secret: ListenerOptions["secret"]) => {
  const read = async (key: string, path: string, isFit: (text: string) => boolean): Promise<string> => {
    const at = inFolderOf(file, path);
    const text = await Deno.readTextFile(at).catch((error) => {
      throw new Usage(`server.tls.${key}: cannot read ${at}: ${error.message}`);
    });
    if (!isFit(text)) throw new Usage(`server.tls.${key}: ${at} holds no certificates, PEM`);
    return text;
  };
  return {
    async pair(certificate: string, key: Reference): Promise<Pick<StrictTls, "cert" | "key">> {
      const pair = { cert: await read("certificate", certificate, isChain), key: await keyOf(secret, key) };
      if (!belongTogether(pair.cert, pair.key)) throw new Usage("server.tls.key: it is not the key of the certificate");
      if (!signsHandshakes(pair.key)) {
        throw new Usage("server.tls.key: none for TLS: RSA of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519 are");
      }
      return pair;
    },
    // Beside a certificate its key may stand; beside authorities nothing has a place.
    clients: (path: string): Promise<string> => read("clients", path, areCertificates),
  };
};

type Reference = NonNullable<Settings["config"]["server"]["tls"]["key"]>;

const keyOf = async (secret: ListenerOptions["secret"], reference: Reference): Promise<string> => {
  const key = await secret(reference).catch((error) => {
    throw new Usage(`server.tls.key: it cannot be read: ${error.message}`);
  });
  if (!key) throw new Usage("server.tls.key: it is not there, or empty");
  if (isEncrypted(key)) {
    throw new Usage(
      "server.tls.key: it is encrypted under a passphrase, which nobody could give at a start; " +
        "openssl pkey -in KEY -out PLAIN writes it without, for a file of mode 0600",
    );
  }
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
