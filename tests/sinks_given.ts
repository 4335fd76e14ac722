/** Receivers of sinks: syslog over TCP and TLS as a program of its own understands it, and authorities to trust. */
import type { Parcel } from "../actors/kernel/transport.ts";
import { openssl } from "./installed_given.ts";
import { eventOf } from "./siem_given.ts";
import { until } from "./until.ts";

export const parcel = (position: number, text = `{"n":${position}}`): Parcel => ({
  position,
  part: 0,
  event: eventOf("inbox.thing.happened", { n: position }, { position }),
  text,
});

/** Octet counting (RFC 6587 section 3.4.1) written a second time: the messages, and what is left over. */
export const unframed = (bytes: Uint8Array): { readonly messages: readonly string[]; readonly left: string } => {
  const messages: string[] = [];
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(32, at);
    const length = Number(utf8.decode(bytes.subarray(at, space < 0 ? bytes.length : space)));
    if (space < 0 || !Number.isInteger(length) || space + 1 + length > bytes.length) break;
    messages.push(utf8.decode(bytes.subarray(space + 1, space + 1 + length)));
    at = space + 1 + length;
  }
  return { messages, left: new TextDecoder().decode(bytes.subarray(at)) };
};

export interface Listener {
  readonly port: number;
  /** Of all connections that ended well. */
  readonly messages: string[];
  connections: number;
  stop(): Promise<void>;
}

/** Reads each connection to its end, unless `behave` does something else with it. */
export const listening = (
  listener: Deno.TcpListener | Deno.TlsListener,
  behave?: (conn: Deno.Conn, connection: number) => Promise<boolean>,
): Listener => {
  const open = new Set<Deno.Conn>();
  const serving: Promise<void>[] = [];
  const heard: Listener = {
    port: listener.addr.port,
    messages: [],
    connections: 0,
    async stop() {
      listener.close();
      for (const conn of open) closed(conn);
      await accepting;
      await Promise.all(serving);
    },
  };
  const serve = async (conn: Deno.Conn) => {
    open.add(conn);
    try {
      if (await behave?.(conn, heard.connections)) return;
      const pieces: Uint8Array[] = [];
      const piece = new Uint8Array(65_536);
      for (let read; (read = await conn.read(piece)) !== null;) pieces.push(piece.slice(0, read));
      heard.messages.push(...unframed(new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer())).messages);
    } catch {
      // The other side went away, or was not let in.
    } finally {
      closed(conn);
      open.delete(conn);
    }
  };
  const accepting = (async () => {
    for (;;) {
      try {
        const conn = await listener.accept();
        heard.connections++;
        serving.push(serve(conn));
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
      }
    }
  })();
  return heard;
};

const closed = (conn: Deno.Conn): void => {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
};

/** Waits for an event of a type, and answers with the newest. */
export const eventually = async (
  server: { get(path: string): Promise<Response> },
  type: string,
): Promise<{ readonly position: number }> => {
  const newest = await until(type, async () => {
    const { events } = await (await server.get(`/events?type=${type}`)).json() as { events: { position: number }[] };
    return events.at(-1);
  });
  return newest!;
};

export interface Authority {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** A new authority, and a certificate for `localhost` that it signed. */
export const authority = async (folder: string): Promise<Authority> => {
  const call = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command(openssl!, { args, cwd: folder, stderr: "piped" }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  await Deno.mkdir(folder, { recursive: true });
  const made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await Deno.writeTextFile(`${folder}/names`, "subjectAltName=DNS:localhost\n");
  await call(
    "req",
    "-x509",
    ...made,
    "-days",
    "2",
    "-subj",
    "/CN=test authority",
    "-keyout",
    "ca.key",
    "-out",
    "ca.pem",
  );
  await call("req", ...made, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request.pem");
  const sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
  await call("x509", "-req", "-in", "request.pem", ...sign, "-out", "cert.pem");
  const [ca, cert, key] = await Promise.all(
    ["ca", "cert", "key"].map((name) => Deno.readTextFile(`${folder}/${name}.pem`)),
  );
  return { ca: ca!, cert: cert!, key: key! };
};
