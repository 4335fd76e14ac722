/** Stores, logs and views that lie sealed. With `DAYBOOK_TEST_SEALED=1` the contract of the log and the simulations run over such. */
import { sealingOf } from "../adapters/keys/at_rest.ts";
import { SealedStore } from "../adapters/kv/sealed_store.ts";
import { seededRandom } from "../adapters/simulation/random.ts";
import type { Sealing } from "../events/sealing.ts";
import type { Store } from "../events/store.ts";

export const KEY: Uint8Array = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1);
export const OTHER_KEY: Uint8Array = KEY.toReversed();

/** Random bytes that a seed decides, so that a history can be played again. */
export const bytesOf = (seed: number): (bytes: number) => Uint8Array => {
  const random = seededRandom(seed);
  return (bytes) => Uint8Array.from({ length: bytes }, () => Math.floor(random.next() * 256));
};

export const sealing = (key: Uint8Array = KEY): Sealing => sealingOf(key, { random: bytesOf(1) });

/** Who cannot write has no `commit`. */
type Reading = Pick<Store, "get" | "list" | "bytes" | "close">;

/** The same store with all else that it has; what it keeps is sealed. */
export const sealed = <S extends Reading>(store: S): S => {
  const over = new SealedStore(store as S & Store, sealing());
  const ours: Partial<Record<string | symbol, unknown>> = {
    seal: over.seal,
    commit: over.commit.bind(over),
    get: over.get.bind(over),
    list: over.list.bind(over),
  };
  return new Proxy(store, {
    get(target, name) {
      if (Object.hasOwn(ours, name)) return ours[name];
      const member = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
    set(target, name, value) {
      if (Object.hasOwn(ours, name)) ours[name] = value;
      else Reflect.set(target, name, value);
      return true;
    },
  });
};

const VARIABLE = "DAYBOOK_TEST_SEALED";
const mayAsk = () => Deno.permissions.querySync({ name: "env", variable: VARIABLE }).state === "granted";
const asked = mayAsk() && Deno.env.get(VARIABLE) === "1";

/** The key for who reads the same file, if the run has one. */
export const lyingUnder = (): { readonly key?: Uint8Array } => asked ? { key: KEY } : {};

/** As the run has it. */
export const lying = <S extends Reading>(store: S): S => asked ? sealed(store) : store;
