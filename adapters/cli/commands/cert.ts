/** `cert issue`, `cert renew`, `cert list` and `cert authority`: certificates of the folder's own authority. */
import { join } from "node:path";
import type { Call, Run } from "../call.ts";
import { list as given, pathOf, spanOf, text, Usage } from "../call.ts";
import { table } from "../columns.ts";
import { palette, safe } from "../print.ts";
import type { Runtime } from "../runtime.ts";
import { Standing } from "../standing.ts";
import { operateOn } from "../writer.ts";

const FILES = { key: "key.pem", certificate: "certificate.pem", authority: "authority.pem" } as const;
const USES = { server: ["server"], client: ["client"], both: ["server", "client"] } as const;

interface Issued {
  readonly kept?: boolean;
  readonly folder?: string;
  readonly certificate: string;
  readonly authority: string;
  readonly not_after_ms: number;
}

/** The private key is made here and goes nowhere but into its file. */
export const issue: Run = async (call, runtime) => {
  const [name] = call.args as [string];
  const use = text(call, "for") ?? "server";
  if (!Object.hasOwn(USES, use)) throw new Usage(`--for takes server, client or both, not ${JSON.stringify(use)}`);
  const uses = USES[use as keyof typeof USES];
  const names = given(call, "host");
  if (use !== "client" && names.length === 0) {
    throw new Usage("a server's certificate needs --host, the name or address that it is reached by; may be repeated");
  }
  const valid = validOf(call);
  await refuseNowhere(call, runtime);
  const { key, public_key } = await runtime.newKey();
  const issued = await operateOn<Issued>(call, runtime, {
    operation: "issue-certificate",
    input: { name, names, uses, public_key, ...valid },
  });
  return await put(issued, { name, key, call, runtime });
};

export const renew: Run = async (call, runtime) => {
  const [name] = call.args as [string];
  const valid = validOf(call);
  await refuseNowhere(call, runtime);
  const { key, public_key } = await runtime.newKey();
  const issued = await operateOn<Issued>(call, runtime, {
    operation: "renew-certificate",
    input: { name, public_key, ...valid },
  });
  if (!issued.kept) return await put(issued, { name, key, call, runtime });
  return told(issued, { name, folder: issued.folder!, call, runtime });
};

/** Before anything is certified that could not be written. */
const refuseNowhere = async (call: Call, { io }: Runtime): Promise<void> => {
  const out = text(call, "out");
  if (out !== undefined) await io.folder(pathOf(call, out));
};

const put = async (
  issued: Issued,
  { name, key, call, runtime }: {
    readonly name: string;
    readonly key: string;
    readonly call: Call;
    readonly runtime: Runtime;
  },
) => {
  const { io } = runtime;
  const folder = outOf(call, name);
  if (text(call, "out") === undefined) await io.folder(join(call.data, "certificates"));
  await io.folder(folder);
  await io.writePrivate({
    [join(folder, FILES.key)]: key,
    [join(folder, FILES.certificate)]: issued.certificate,
    [join(folder, FILES.authority)]: issued.authority,
  });
  return told(issued, { name, folder, call, runtime });
};

const told = (
  { not_after_ms }: Issued,
  { name, folder, call, runtime: { io } }: {
    readonly name: string;
    readonly folder: string;
    readonly call: Call;
    readonly runtime: Runtime;
  },
): 0 => {
  const until = new Date(not_after_ms).toISOString();
  const files = Object.values(FILES).map((file) => join(folder, file));
  io.out(
    call.json
      ? `${JSON.stringify({ ok: true, name, not_after: until, files })}\n`
      : `${safe(name)} is valid until ${until}: ${files.join(", ")}\n`,
  );
  return 0;
};

/** Where its files go. */
const outOf = (call: Call, name: string): string => {
  const out = text(call, "out");
  return out === undefined ? join(call.data, "certificates", name) : pathOf(call, out);
};

const validOf = (call: Call): { readonly valid_ms?: number } => {
  const valid = text(call, "valid");
  if (valid === undefined) return {};
  const valid_ms = spanOf(valid);
  if (valid_ms === undefined || valid_ms < 60_000 || valid_ms > 825 * 86_400_000) {
    throw new Usage(`--valid takes a span of 1m to 825d, such as 12h or 30d, not ${JSON.stringify(valid)}`);
  }
  return { valid_ms };
};

export const authority: Run = async (call, runtime) => {
  const { certificate, permitted, not_after_ms } = await operateOn<
    Pick<Issued, "certificate" | "not_after_ms"> & { readonly permitted: readonly string[] }
  >(call, runtime, { operation: "show-authority", input: {} });
  const not_after = new Date(not_after_ms).toISOString();
  runtime.io.out(call.json ? `${JSON.stringify({ certificate, permitted, not_after })}\n` : certificate);
  return 0;
};

interface Row {
  readonly state: string;
  readonly issuer: string;
  readonly names: readonly string[];
  readonly uses: readonly string[];
  readonly not_after: string;
  readonly renewals: number;
}

const VIEW = "certificates.current";

export const listAll: Run = async (call, runtime) => {
  const { io, clock } = runtime;
  const rows = await rowsOf(call, runtime);
  // While nobody runs, nobody tells of an end.
  const found = [...rows].map(([name, row]) => ({
    name,
    ...row,
    state: Date.parse(row.not_after) <= clock.now() ? "expired" : row.state,
  }));
  if (call.json) io.out(`${JSON.stringify({ certificates: found })}\n`);
  else if (found.length === 0) io.out("no certificates\n");
  else {
    const c = palette(io);
    const columns = ["name", "state", "for", "names", "until", "renewed"].map((title) => ({ title }));
    const paint = { valid: c.green, expiring: c.yellow, expired: c.red };
    const lines = found.map(({ name, state, issuer, uses, names, not_after, renewals }) => [
      safe(name),
      (paint[state as keyof typeof paint] ?? c.dim)(state),
      issuer === "ours" ? uses.join(" ") : issuer,
      safe(names.join(" ")),
      not_after,
      String(renewals),
    ]);
    io.out(table(columns, lines, c));
  }
  return found.some(({ state }) => state === "expired") ? 1 : 0;
};

const rowsOf = async (call: Call, runtime: Runtime): Promise<ReadonlyMap<string, Row>> => {
  const reader = await runtime.reader(call.data);
  try {
    const standing = await Standing.of([VIEW], { reader, call, runtime });
    standing.catchUp();
    return standing.rows(VIEW) as ReadonlyMap<string, Row>;
  } finally {
    await reader.close();
  }
};
