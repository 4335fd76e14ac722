/** A real TLS handshake, to see which certificate is shown; what is shown is not believed. */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { connect } from "node:tls";

export type Shown =
  /** `signed`: by one of the authorities, where some were given. PEM. */
  | { readonly is: "shown"; readonly certificate: string; readonly signed: boolean }
  /** Nobody listens there. */
  | { readonly is: "closed" }
  | { readonly is: "failed"; readonly because: string };

const pemOf = (der: Uint8Array): string => {
  const lines = Buffer.from(der).toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
};

/** Ends soon after the signal aborts. `name`: asked for in the handshake (SNI, RFC 6066), an address is not. */
export const handshake = (
  { host, port, name, authority, signal }: {
    readonly host: string;
    readonly port: number;
    readonly name?: string;
    /** PEM. */
    readonly authority?: string;
    readonly signal: AbortSignal;
  },
): Promise<Shown> => {
  const done = Promise.withResolvers<Shown>();
  const socket = connect({
    host,
    port,
    rejectUnauthorized: false,
    ...(name === undefined || isIP(name) !== 0 ? {} : { servername: name }),
    ...(authority === undefined ? {} : { ca: authority }),
  }, () => {
    const { raw } = socket.getPeerCertificate(true);
    const authorized = authority !== undefined && socket.authorized;
    done.resolve(
      raw
        ? { is: "shown", certificate: pemOf(raw), signed: authorized }
        : { is: "failed", because: "no certificate is shown" },
    );
    socket.destroy();
  });
  const over = (shown: Shown) => {
    done.resolve(shown);
    socket.destroy();
  };
  socket.on("error", (error: Error & { readonly code?: string }) => {
    over(
      error.code === "ECONNREFUSED" ? { is: "closed" } : { is: "failed", because: error.message.split("\n", 1)[0]! },
    );
  });
  socket.on("close", () => done.resolve({ is: "failed", because: "the connection was closed" }));
  const late = () => over({ is: "failed", because: "no answer in time" });
  if (signal.aborted) late();
  signal.addEventListener("abort", late, { once: true });
  return done.promise.finally(() => signal.removeEventListener("abort", late));
};
