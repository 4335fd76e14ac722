/** One thread of `decode.ts`. */
import { decode, type Share } from "./decode_blocks.ts";

const port = self as unknown as {
  onmessage: ((event: MessageEvent<Share>) => void) | null;
  postMessage(events: number): void;
};

port.onmessage = ({ data }) => port.postMessage(decode(data));
