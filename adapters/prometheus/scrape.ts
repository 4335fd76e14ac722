/** One look at an endpoint that tells metrics, bounded in time and bytes. */
import { parseMetrics, type Sample } from "./text.ts";

export interface Endpoint {
  readonly url: string;
  readonly bytes_max: number;
  readonly series_max: number;
}

/** Asks whoever tells them. */
export type Get = (
  url: string,
  asked: { readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
) => Promise<{ readonly status: number; readonly body: AsyncIterable<Uint8Array>; close(): void }>;

/** Throws with one line for people: what was wrong, nothing out of the answer. */
export const scrape = async (
  { url, bytes_max, series_max }: Endpoint,
  { get, signal }: { readonly get: Get; readonly signal: AbortSignal },
): Promise<readonly Sample[]> => {
  const { status, body, close } = await get(url, {
    signal,
    headers: { accept: "text/plain;version=0.0.4, text/plain;q=0.5" },
  });
  try {
    if (status !== 200) throw new Error(`status ${status}`);
    const parsed = parseMetrics(await textOf(body, bytes_max), series_max);
    if (!parsed.ok) throw new Error(parsed.because);
    return parsed.samples;
  } finally {
    close();
  }
};

const textOf = async (body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<string> => {
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  const decoded = (piece?: Uint8Array): string => {
    try {
      return piece ? utf8.decode(piece, { stream: true }) : utf8.decode();
    } catch (cause) {
      throw new Error("not UTF-8", { cause });
    }
  };
  let [text, bytes] = ["", 0];
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new Error(`more than ${bytesMax} bytes`);
    text += decoded(piece);
  }
  return text + decoded();
};
