/** Tasks shared out between threads and who asks them: what threads do not have in hand is done here. */
import { setImmediate } from "node:timers";
import { THREADS } from "./threads.ts";

/** What a thread can do or this one, and what becomes of what was found; false where nothing behind it counts. */
export interface Task {
  readonly asked: () => Promise<unknown>;
  readonly here: () => unknown;
  readonly take: (found: unknown) => boolean | void;
}

interface Begun {
  readonly task: Task;
  readonly answer: Promise<unknown>;
  found: { readonly is: unknown } | undefined;
}

/** Lets in what threads have answered. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/**
 * Does all tasks, by so many threads and here; what is found is taken in their order. `rest` comes after each that was done here or
 * waited for. Rejects as the first of them does that fails.
 */
export const shareOut = async (threads: number, tasks: Iterable<Task>, rest: () => Promise<void>): Promise<void> => {
  const left = tasks[Symbol.iterator]();
  const inHand = threads * THREADS.ahead;
  const begun: Begun[] = [];
  let asked = 0;
  let more = true;
  const next = (): Task | undefined => {
    const { done, value } = left.next();
    more = !done;
    return done ? undefined : value;
  };
  while (more || begun.length > 0) {
    for (let task: Task | undefined; more && asked < inHand && (task = next());) {
      asked++;
      const one: Begun = { task, answer: task.asked(), found: undefined };
      one.answer.then((found) => {
        asked--;
        one.found = { is: found };
      }, () => {});
      begun.push(one);
    }
    // What was found ahead of the oldest is held until that one answers.
    const own = more && begun.length < 2 * inHand ? next() : undefined;
    if (own) {
      begun.push({ task: own, answer: Promise.resolve(), found: { is: await own.here() } });
      await turn();
    } else await begun[0]?.answer;
    await rest();
    while (begun[0]?.found) {
      const { task, found } = begun.shift()!;
      if (task.take(found!.is) === false) return;
    }
  }
};
