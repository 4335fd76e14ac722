/**
 * Wraps views with misfortune: one process's handle on views that survive it. Transactions fail, or the process dies before or
 * after one; each is there as a whole or not at all.
 */
import { type Views, ViewsFault, type ViewStore } from "../../projections/views.ts";
import type { Faults } from "./faults.ts";

export interface FaultyViewsOptions {
  readonly faults: Faults;
  /** Told when a fault kills the process; it must end everything else of the process. */
  readonly died: () => void;
  /** Whether the process is dead: then nothing here can be touched any more. */
  readonly dead: () => boolean;
}

export const faultyViews = (views: Views, { faults, died, dead }: FaultyViewsOptions): Views => {
  const alive = () => {
    if (dead()) throw new Error("simulated: the process is dead");
  };
  const transaction = (write: () => void) => {
    alive();
    const fault = faults.draw("views_locked", "views_full", "views_damaged", "views_crash_before");
    if (fault === "views_locked") throw new Error("database is locked");
    if (fault === "views_full") throw new ViewsFault("unwritable", "simulated: database or disk is full");
    if (fault === "views_damaged") throw new ViewsFault("damaged", "simulated: database disk image is malformed");
    if (fault) died();
    alive();
    write();
    if (faults.draw("views_crash_after")) died();
    alive();
  };
  const store = (inner: ViewStore): ViewStore => {
    const outer: ViewStore = {
      name: inner.name,
      version: inner.version,
      get size() {
        return inner.size;
      },
      get: (key) => (alive(), inner.get(key)),
      commit: (changes, size) => transaction(() => inner.commit(changes, size)),
    };
    stores.set(outer, inner);
    return outer;
  };
  const stores = new Map<ViewStore, ViewStore>();
  const own: Partial<Views> = {
    open: (projection) => (alive(), store(views.open(projection))),
    swap: (outer) => transaction(() => views.swap(stores.get(outer)!)),
    setNote: (key, value) => transaction(() => views.setNote(key, value)),
    setNotes: (entries) => transaction(() => views.setNotes(entries)),
  };
  return new Proxy(views, {
    get(target, name) {
      alive();
      if (Object.hasOwn(own, name)) return Reflect.get(own, name);
      const member = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
};
