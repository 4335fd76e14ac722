/** What the server's own listener shows, and whom it lets in: files that were given, or what the folder's own authority issues. */
import { Usage } from "../../cli/call.ts";
import { Refused } from "../../cli/runtime.ts";
import { inFolderOf, type Settings } from "../../cli/settings.ts";
import type { StrictTls } from "../../http/strict_tls.ts";
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
  readonly secret: (reference: NonNullable<Settings["config"]["server"]["tls"]["key"]>) => Promise<string | undefined>;
}

/** `undefined`: in the clear. Throws `Usage` for what cannot be shown. */
export const listenerTls = async (options: ListenerOptions): Promise<ListenerTls | undefined> => {
  const { settings, parts, keeper, secret } = options;
  const { certificate, key, issued, clients, min_version } = settings.config.server.tls;
  if (certificate === null && issued.length === 0) return undefined;
  const own = async (): Promise<Pick<StrictTls, "cert" | "key">> => {
    if (issued.length > 0) {
      const pair = await keeper.keep({ name: LISTENER, names: issued, uses: ["server"] });
      return { cert: pair.certificate, key: pair.key };
    }
    return {
      cert: await Deno.readTextFile(inFolderOf(settings.file, certificate!)),
      key: (await secret(key!)) ?? "",
    };
  };
  const read = async (): Promise<StrictTls> => {
    const pair = await own();
    if (issued.length === 0) await note(parts, LISTENER, pair.cert);
    if (clients === null) return pair;
    const authorities = clients === "ours"
      ? (await authorityOf(parts)).certificate
      : await Deno.readTextFile(inFolderOf(settings.file, clients.file));
    return { ...pair, clients: authorities };
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

const refusedAsUsage = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refused) throw new Usage(`server.tls.issued: ${error.message}`);
    throw error;
  }
};
