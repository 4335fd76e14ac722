/** One look at an endpoint that tells metrics, bounded in time and bytes. */
import { parseMetrics, type Sample } from "./text.ts";

export interface Endpoint {
  readonly url: string;
  readonly bytes_max: number;
  readonly series_max: number;
}

/** Throws with one line for people: what was wrong, nothing out of the answer. */
export const scrape = async (
  { url, bytes_max, series_max }: Endpoint,
  signal: AbortSignal,
): Promise<readonly Sample[]> => {
  const response = await fetch(url, {
    signal,
    redirect: "manual",
    headers: { accept: "text/plain;version=0.0.4, text/plain;q=0.5" },
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`status ${response.status}`);
  }
  const parsed = parseMetrics(await textOf(response, bytes_max), series_max);
  if (!parsed.ok) throw new Error(parsed.because);
  return parsed.samples;
};

const textOf = async ({ body }: Response, bytesMax: number): Promise<string> => {
  const utf8 = new TextDecoder("utf-8", { fatal: true });
  const decoded = (piece?: Uint8Array): string => {
    try {
      return piece ? utf8.decode(piece, { stream: true }) : utf8.decode();
    } catch (cause) {
      throw new Error("not UTF-8", { cause });
    }
  };
  let [text, bytes] = ["", 0];
  for await (const piece of body ?? []) {
    bytes += piece.length;
    if (bytes > bytesMax) throw new Error(`more than ${bytesMax} bytes`); // ends the body as well
    text += decoded(piece);
  }
  return text + decoded();
};
