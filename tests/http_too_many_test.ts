/** Every limit of the program refuses alike: which one it was, that nothing is left of it, and when there will be more. */
import assert from "node:assert/strict";
import { systemClock } from "../adapters/system/world.ts";
import { HTTP_LIMITS } from "../adapters/http/bounds.ts";
import { Streams } from "../adapters/http/outflow.ts";
import { Problem, problemResponse } from "../adapters/http/problem.ts";
import { FORM, type House, PASSWORD, type Said, withHouse } from "./identity_given.ts";
import { checkTooMany } from "./too_many_given.ts";

type Ask = (house: House, time: number) => ReturnType<House["send"]>;

const event = (id: string) => ({ specversion: "1.0", id, source: "urn:x", type: "some.thing.happened", data: {} });
const ingest: Ask = (house, time) =>
  house.send("/events", {
    as: house.token,
    headers: { "content-type": "application/cloudevents+json" },
    body: JSON.stringify(event(`e${time}`)),
  });
const quota = (text: string): Said => ({ IDENTITY__TENANTS: `{ default: { quota: { ${text} } } }` });

/** Asked again and again until it is too much. */
const LIMITS: Readonly<
  Record<string, { readonly said: Said; readonly ask: Ask; readonly before?: (house: House) => Promise<unknown> }>
> = {
  user: {
    said: { SERVER__RATE__USER__REQUESTS_MAX: "3" },
    before: async (house) => {
      await house.person("ada");
      tokens.set(house, (await house.signIn("ada")).body.access_token);
    },
    ask: (house) => house.send("/auth/sessions", { as: tokens.get(house)! }),
  },
  token: {
    said: { SERVER__RATE__REQUESTS_MAX: "3", SERVER__RATE__WINDOW_MS: "60000" },
    ask: (house) => house.send("/views", { as: house.token }),
  },
  denied: {
    said: { SERVER__RATE__DENIED_MAX: "3", SERVER__RATE__WINDOW_MS: "60000" },
    ask: (house) => house.send("/views", { as: "dbk_wrong" }),
  },
  "denied on the page": {
    said: { SERVER__RATE__DENIED_MAX: "3", SERVER__RATE__WINDOW_MS: "60000" },
    ask: (house) => house.send("/login", { headers: FORM, body: "token=wrong" }),
  },
  signin_name: {
    said: { IDENTITY__RATE__NAME_MAX: "3" },
    ask: (house, time) => house.signIn("ada", `${PASSWORD} ${time}`),
  },
  signin_credential: {
    said: { IDENTITY__RATE__CREDENTIAL_MAX: "3" },
    ask: (house, time) => house.signIn(`ada${time}`),
  },
  signin_address: {
    said: { IDENTITY__RATE__ADDRESS_MAX: "3" },
    ask: (house, time) => house.signIn(`ada${time}`, `${PASSWORD} ${time}`),
  },
  "signin_name on the page": {
    said: { IDENTITY__RATE__NAME_MAX: "3" },
    ask: (house, time) => house.send("/sign-in", { headers: FORM, body: `name=ada&password=${time}+wrong+ones` }),
  },
  device_polls: {
    said: {},
    before: async (house) => tokens.set(house, (await house.send("/auth/device", { body: {} })).body.device_code),
    ask: (house) => house.send("/auth/device/token", { body: { device_code: tokens.get(house) } }),
  },
  events: { said: quota("events_max: 2"), ask: ingest },
  bytes: { said: quota("bytes_max: 400"), ask: ingest },
  sessions: {
    said: quota("sessions_max: 1"),
    before: (house) => house.person("ada"),
    ask: (house) => house.signIn("ada"),
  },
};
const tokens = new WeakMap<House, string>();
const TIMES_MAX = 10;

for (const [name, { said, before, ask }] of Object.entries(LIMITS)) {
  Deno.test(`who meets the limit ${name} is told so by the headers`, () =>
    withHouse(async (house) => {
      await before?.(house);
      for (let time = 0; time < TIMES_MAX; time++) {
        const answer = await ask(house, time);
        if (answer.status !== 429) continue;
        assert.equal(checkTooMany(answer), name.split(" ")[0]);
        return;
      }
      assert.fail(`it was not reached in ${TIMES_MAX} times`);
    }, { said }));
}

Deno.test("who wants one stream too many is told so by the headers", () => {
  const streams = new Streams(systemClock, () => {});
  const start = () => streams.start(async function* () {});
  for (let i = 0; i < HTTP_LIMITS.streams_max; i++) start();
  assert.throws(start, (error) => error instanceof Problem && checkTooMany(problemResponse(error, "r")) === "streams");
  streams.stop();
});

Deno.test("no other place of the program refuses too much", async () => {
  for (const folder of ["adapters", "main.ts"]) {
    for (const file of await sources(new URL(`../${folder}`, import.meta.url))) {
      if (file.pathname.endsWith("/http/too_many.ts")) continue;
      const text = await Deno.readTextFile(file);
      assert.doesNotMatch(text, /new Problem\(\s*"(?:too_many_requests|quota_exceeded)"/, file.pathname);
    }
  }
});

const sources = async (at: URL): Promise<readonly URL[]> => {
  if (/\.tsx?$/.test(at.pathname)) return [at];
  const found: URL[] = [];
  for await (const { name, isDirectory } of Deno.readDir(at)) {
    if (isDirectory || /\.tsx?$/.test(name)) found.push(...await sources(new URL(`${at.href}/${name}`)));
  }
  return found;
};
