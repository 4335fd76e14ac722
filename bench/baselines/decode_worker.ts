/** One thread of `decode.ts`. */
import { decode, type Share } from "./decode_blocks.ts";

addEventListener("message", ({ data }: MessageEvent<Share>) => postMessage(decode(data)));
