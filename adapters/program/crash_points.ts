/**
 * Puts the points of `../process/crash.ts` where they belong: at the ports, so that no room inside knows of them and a program
 * without the switch has the ports themselves.
 */
import { setImmediate } from "node:timers";
import type { Entities } from "../../actors/kernel/entities.ts";
import type { Batch, Store } from "../../events/store.ts";
import type { ViewChange, Views, ViewStore } from "../../projections/views.ts";
import type { Accounts } from "../keys/accounts.ts";
import type { AgentLine } from "../process/agent/line.ts";
import type { Answer, Asks } from "../process/agent/protocol.ts";
import type { Crash, CrashPoint } from "../process/crash.ts";

/** Appends, blobs, segments and checkpoints, told apart by the keys of their commits. */
export const crashInStore = <S extends Pick<Store, "commit">>(store: S, crash: Crash): S => {
  const commit = store.commit.bind(store);
  const appending = async (batch: Batch): Promise<boolean> => {
    crash("append.begun");
    let answered = false;
    setImmediate(() => answered || crash("append.flushing"));
    const written = await commit(batch).finally(() => answered = true);
    crash("append.durable");
    setImmediate(() => crash("append.answered"));
    return written;
  };
  store.commit = async (batch) => {
    const [[key] = []] = batch.puts;
    if (key?.[0] === "log") return await appending(batch);
    if (key?.[0] === "tree") crash("checkpoint.signed");
    if (key?.[0] === "blob" && key[2] === 0) crash("blob.begun");
    const written = await commit(batch);
    if (key?.[0] === "tree") crash("checkpoint.durable");
    if (key?.[0] === "index") crash("index.pages");
    if (key?.[0] === "manifest") crash("index.manifest");
    if (key?.[0] === "blob") crash(batch.puts.at(-1)![0].length === 2 ? "blob.durable" : "blob.half");
    return written;
  };
  return store;
};

/** Snapshots and timers, told apart by the names of their notes; and transactions of projections. */
export const crashInViews = <V extends Pick<Views, "setNotes" | "open">>(views: V, crash: Crash): V => {
  const [setNotes, open] = [views.setNotes.bind(views), views.open.bind(views)];
  views.setNotes = (entries) => {
    const key = entries[0]?.[0] ?? "";
    if (key.startsWith("snapshot/")) crash("snapshot.begun");
    if (key.startsWith("timers/standing/")) crash("timer.set");
    setNotes(entries);
    if (key.startsWith("snapshot/")) crash("snapshot.durable");
    if (key.startsWith("timers/standing/")) crash("timer.noted");
  };
  views.open = (projection) => crashInProjection(open(projection), crash);
  return views;
};

const crashInProjection = (store: ViewStore, crash: Crash): ViewStore => {
  const commit = store.commit.bind(store);
  store.commit = (changes, size) => {
    crash("projection.begun");
    commit(changes.length > 1 ? [...changes.slice(0, -1), asked(changes.at(-1)!, crash)] : changes, size);
    crash("projection.durable");
  };
  return store;
};

/** The last of several changes is asked for its row when those before it are written. */
const asked = (change: ViewChange, crash: Crash): ViewChange => ({
  ...change,
  get row() {
    crash("projection.half");
    return change.row;
  },
});

/** Names, hashes and keys of accounts, each there before the fact that names it. */
export const crashInAccounts = <A extends Pick<Accounts, "reserve" | "keep" | "keepOnly">>(
  accounts: A,
  crash: Crash,
): A => {
  const [reserve, keep, keepOnly] = [
    accounts.reserve.bind(accounts),
    accounts.keep.bind(accounts),
    accounts.keepOnly.bind(accounts),
  ];
  accounts.reserve = (name) => {
    const account = reserve(name);
    crash("account.reserved");
    return account;
  };
  accounts.keep = (owner, secret) => {
    const id = keep(owner, secret);
    crash(owner.startsWith("u_") ? "password.kept" : "signing_key.kept");
    return id;
  };
  accounts.keepOnly = (...those) => {
    crash("password.settled");
    keepOnly(...those);
  };
  return accounts;
};

/** Timers on their way to their entities. */
export const crashInTimers = <E extends Pick<Entities, "fire">>(entities: E, crash: Crash): E => {
  const fire = entities.fire.bind(entities);
  entities.fire = async (due) => {
    crash("timer.due");
    const outcome = await fire(due);
    crash("timer.fired");
    return outcome;
  };
  return entities;
};

/** The server, when it is asked to end. */
export const crashInServing = <S extends { stop(): Promise<void> }>(serving: S, crash: Crash): S => {
  const stop = serving.stop.bind(serving);
  serving.stop = () => {
    crash("shutdown.asked");
    return stop();
  };
  return serving;
};

const BEFORE_ASKING: Partial<Readonly<Record<Asks, CrashPoint>>> = {
  start: "start.announced",
  watch: "start.recorded",
};
const WHEN_ANSWERED: Partial<Readonly<Record<Asks, CrashPoint>>> = { start: "start.spawned", end: "stop.signalled" };

/** Starts and ends of services, as their agent is asked for them. */
export const crashInAgent = (agent: Pick<AgentLine, "ask">, crash: Crash): void => {
  const ask = agent.ask.bind(agent);
  agent.ask = async <A extends Asks>(name: A, about: Parameters<typeof ask<A>>[1]): Promise<Answer<A>> => {
    const [before, after] = [BEFORE_ASKING[name], WHEN_ANSWERED[name]];
    if (before) crash(before);
    const answer = await ask(name, about);
    if (after) crash(after);
    return answer;
  };
};
