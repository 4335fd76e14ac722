/** Certificates of an authority made for a test, and openssl to look at them with. */
import { certify, certifyAuthority, type Use } from "../adapters/x509/authority.ts";
import { keyPem, newKey, publicKeyOf } from "../adapters/x509/key.ts";
import { openssl } from "./installed_given.ts";
import { ended } from "./until.ts";

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes));
const DAY_MS = 86_400_000;

export const givenAuthority = async (
  permitted: readonly string[] = ["localhost", "internal", "127.0.0.0/8", "::1/128"],
) => {
  const key = newKey();
  const certificate = await certifyAuthority(key, {
    name: "Test",
    permitted,
    now: Date.now(),
    valid_ms: 3_650 * DAY_MS,
    random,
  });
  return {
    certificate,
    /** `from`: when it begins, ms from now; so is `until`. */
    async issue(
      name: string,
      uses: readonly Use[],
      { names = ["localhost", "127.0.0.1"], from = 0, until = DAY_MS }: {
        readonly names?: readonly string[];
        readonly from?: number;
        readonly until?: number;
      } = {},
    ): Promise<Pair> {
      const own = newKey();
      const cert = await certify({ certificate, key }, {
        name,
        names,
        uses,
        public_key: publicKeyOf(own),
        now: Date.now() + from,
        valid_ms: until - from,
        random,
      });
      return { cert, key: keyPem(own) };
    },
  };
};

export interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs openssl; `input` is what it is given on standard input. */
export const runOpenssl = async (args: readonly string[], input = ""): Promise<Said> => {
  const child = new Deno.Command(openssl!, { args: [...args], stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {}); // it may have ended by itself
  await writer.close().catch(() => {});
  return await ended(`openssl ${args.join(" ")}`, child);
};

/** A folder that is gone afterwards. */
export const withFolder = async (work: (folder: string) => Promise<void>): Promise<void> => {
  const folder = Deno.makeTempDirSync({ prefix: "daybook-certificates-" });
  try {
    await work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
};

/** Writes texts into a folder and answers their paths. */
export const written = <N extends string>(folder: string, files: Readonly<Record<N, string>>): Record<N, string> =>
  Object.fromEntries(
    Object.entries<string>(files).map(([name, text]) => {
      const path = `${folder}/${name}`;
      Deno.writeTextFileSync(path, text, { mode: 0o600 });
      return [name, path];
    }),
  ) as Record<N, string>;
