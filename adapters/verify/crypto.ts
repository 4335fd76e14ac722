/**
 * `node:crypto` where it is first used: to load it takes as long as to start Deno. `main.ts` exports what stands on this, and is started
 * for more than that.
 */
import type * as Crypto from "node:crypto";

let loaded: typeof Crypto | undefined;

export const nodeCrypto = (): typeof Crypto => loaded ??= process.getBuiltinModule("node:crypto");

export const sha256 = (): Crypto.Hash => nodeCrypto().createHash("sha256");
