/** A terminal is signed in, and shows a second factor before what cannot be undone: the commands as a person types them. */
import assert from "node:assert/strict";
import jsqr from "jsqr";
import { Secret, TOTP, URI } from "otpauth";
import { command, document, run, start, type Started, withPlace } from "./cli_given.ts";
import { heard, within } from "../until.ts";

// A CommonJS module whose types are written for the other kind.
const jsQR = jsqr as unknown as typeof jsqr.default;
const PASSWORD = "tall trees in rain";

const post = async ({ url }: Started, path: string, body: unknown, as?: string) => {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(as === undefined ? {} : { authorization: `Bearer ${as}` }) },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.status < 400, `${path}: ${text}`);
  return text === "" ? {} : JSON.parse(text);
};

/** An administrator with one-time codes, signed in with a backup code; `codes` are those that are left. */
const administrator = async (server: Started) => {
  const { account, code } = await post(server, "/accounts", { name: "ada" }, server.token);
  await post(server, "/auth/invitation", { code, password: PASSWORD });
  await post(server, `/accounts/${account}/grant`, { role: "administrator" }, server.token);
  const { access_token } = await post(server, "/auth/sign-in", { name: "ada", password: PASSWORD });
  const { factor, secret } = await post(server, "/auth/factors/totp", { password: PASSWORD }, access_token);
  const totp = new TOTP({ secret: Secret.fromBase32(secret) });
  const { codes } = await post(server, "/auth/factors/confirm", { factor, code: totp.generate() }, access_token);
  const asked = await fetch(`${server.url}/auth/sign-in`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "ada", password: PASSWORD }),
  });
  const { ticket } = await asked.json();
  const signed = await post(server, "/auth/second", { ticket, code: codes[0] });
  await post(server, "/auth/factors/verify", { code: codes[1] }, signed.access_token);
  return { account, as: signed.access_token as string, codes: codes.slice(2) as string[] };
};

/** Types `login`, and allows the code that it shows. */
const login = async (data: string, server: Started, as: string) => {
  const child = command(["login", "--data", data, "--json"], {}).spawn();
  const errors = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  const CODE = /and allow (\S+)\n/;
  const said = await heard("login shows a code", errors, (text) => CODE.test(text));
  await post(server, "/auth/device/answer", { user_code: CODE.exec(said)![1], allow: true }, as);
  await errors.cancel();
  const ending = Promise.all([child.status, new Response(child.stdout).text()]);
  const [{ code }, out] = await within("the end of login", ending);
  assert.equal(code, 0, said);
  assert.match(said, new RegExp(`^open ${server.url}/device\\?code=`));
  return JSON.parse(out) as { readonly account: string; readonly session: string };
};

Deno.test("once an administrator has a second factor, tokens are made by who is signed in and shows a code, with and without a server", () =>
  withPlace(async ({ dir, data }) => {
    const create = (...more: string[]) =>
      document<{ ok?: boolean; token?: string; error?: { code: string } }>([
        "token",
        "create",
        "ci",
        "--data",
        data,
        ...more,
      ]);
    let codes: string[] = [];
    const server = await start(data);
    try {
      assert.equal((await create()).exit, 0, "before there are accounts nobody asks");
      const ada = await administrator(server);
      codes = ada.codes;
      const refused = await create("--code", codes[0]!);
      assert.deepEqual([refused.exit, refused.error?.code], [1, "login_wanted"]);
      const { account } = await login(data, server, ada.as);
      assert.equal(account, ada.account);
      assert.equal((await Deno.stat(`${data}/login`)).mode! & 0o777, 0o600);
      const silent = await create();
      assert.deepEqual([silent.exit, silent.error?.code], [1, "factor_wanted"]);
      const made = await create("--code", codes[0]!);
      assert.deepEqual([made.exit, typeof made.token], [0, "string"]);
      const again = await create("--code", codes[0]!);
      assert.deepEqual([again.exit, again.error?.code], [1, "code_refused"], "a code is taken once");
      const erase = await document<{ error: { code: string } }>(["erase", "u_aaaaaaaaaaaaaaaa", "--data", data]);
      assert.deepEqual([erase.exit, erase.error.code], [1, "factor_wanted"]);
    } finally {
      await server.stop();
    }
    assert.equal((await create("--code", codes[1]!)).exit, 0, "the folder itself knows, without a server");
    // A copy takes the place of a folder with accounts: who brings it back shows a factor there.
    const copy = `${dir}/copy`;
    const how = { env: { DAYBOOK_PASSPHRASE: "open sesame" } };
    assert.equal((await run(["backup", copy, "--with-keys", "--data", data], how)).code, 0);
    const restore = (to: string, ...more: string[]) =>
      document<{ error?: { code: string } }>(["restore", copy, "--data", `${dir}/${to}`, ...more], how);
    const silent = await restore("one", "--replaces", data);
    assert.deepEqual([silent.exit, silent.error?.code], [1, "factor_wanted"]);
    await assert.rejects(Deno.stat(`${dir}/one/log.db`), "nothing was brought back");
    const wrong = await restore("one", "--replaces", data, "--code", "123456");
    assert.deepEqual([wrong.exit, wrong.error?.code], [1, "code_refused"]);
    const shown = await restore("one", "--replaces", data, "--code", codes[3]!);
    assert.equal(shown.exit, 0, JSON.stringify(shown.error));
    // Where nothing is replaced, the accounts in the backup are asked: by name, for nobody is signed in there.
    const asked = async (...more: string[]) => (await restore("two", ...more)).error?.code;
    assert.equal(await asked(), "account_wanted");
    assert.equal(await asked("--account", "ada"), "factor_wanted");
    assert.equal(await asked("--account", "ada", "--code", "123456"), "code_refused");
    assert.equal(
      await asked("--account", "ada", "--code", codes[0]!),
      "code_refused",
      "it was taken before the backup",
    );
    assert.equal(
      await asked("--account", "nobody", "--code", codes[4]!),
      "code_refused",
      "another's code, or nobody's",
    );
    await assert.rejects(Deno.stat(`${dir}/two`), "nothing was brought back");
    assert.equal(await asked("--account", "ada", "--code", codes[4]!), undefined);
    assert.equal((await Deno.stat(`${dir}/two/log.db`)).isFile, true);
    // A copy without its keys lets nobody in and cannot be written: it has nothing to ask for.
    const keyless = await document<{ keys?: boolean }>(["restore", copy, "--data", `${dir}/three`]);
    assert.deepEqual([keyless.exit, keyless.keys], [0, false]);
    // Other commands of the same kind.
    for (
      const words of [
        ["archive", "--before", "1", "--to", `${dir}/old`],
        ["hold", "lift", "case"],
        ["keys", "rotate"],
        [
          "keys",
          "rotate-log",
        ],
        ["cert", "issue", "api"],
      ]
    ) {
      const { exit, error } = await document<{ error: { code: string } }>([...words, "--data", data]);
      assert.deepEqual([exit, error?.code], [1, "factor_wanted"], words.join(" "));
    }
    const out = await run(["logout", "--data", data]);
    assert.deepEqual([out.code, out.out.startsWith("signed out of u_")], [0, true], out.err);
    const after = await create("--code", codes[2]!);
    assert.deepEqual([after.exit, after.error?.code], [1, "login_wanted"]);
  }));

/** A person with a role and a password. */
const person = async (server: Started, name: string, role: string) => {
  const { account, code } = await post(server, "/accounts", { name }, server.token);
  await post(server, "/auth/invitation", { code, password: PASSWORD });
  await post(server, `/accounts/${account}/grant`, { role }, server.token);
  return account as string;
};

/** What `login` leaves in the folder, without the seconds that it waits. */
const loggedIn = async (data: string, server: Started, name: string, password = PASSWORD) => {
  const { account, session, refresh_token } = await post(server, "/auth/sign-in", { name, password });
  await Deno.writeTextFile(`${data}/login`, JSON.stringify({ account, session, refresh_token }));
};

Deno.test("while no account that may do it has a second factor, its password is shown; who has lost all is let in anew by who stands at the machine, on record", () =>
  withPlace(async ({ dir, data }) => {
    const file = `${dir}/password`, wrong = `${dir}/wrong`;
    await Promise.all([Deno.writeTextFile(file, `${PASSWORD}\n`), Deno.writeTextFile(wrong, "short trees\n")]);
    const create = async (...more: string[]) =>
      (await document<{ error?: { code: string } }>(["token", "create", "ci", "--data", data, ...more])).error?.code;
    const how = { env: { DAYBOOK_PASSPHRASE: "open sesame" } };
    const server = await start(data);
    try {
      await person(server, "bob", "auditor");
      assert.equal(await create(), undefined, "nobody yet who may do it, and could be asked");
      const ada = await person(server, "ada", "administrator");
      assert.equal(await create("--password-file", file), "login_wanted");
      await loggedIn(data, server, "bob");
      assert.equal(await create("--password-file", file), "not_privileged");
      await loggedIn(data, server, "ada");
      assert.equal(await create(), "password_wanted");
      assert.equal(await create("--code", "123456"), "password_wanted");
      assert.equal(await create("--password-file", wrong), "password_refused");
      assert.equal(await create("--password-file", file), undefined);

      // She has forgotten it. Whoever can open the folder's socket is the operator, and lets her choose another; it is on record.
      using client = Deno.createHttpClient({ proxy: { transport: "unix", path: `${data}/control.sock` } });
      const invited = await fetch(`http://control.invalid/accounts/${ada}/invite`, {
        client,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ purpose: "reset" }),
      });
      const { code } = await invited.json();
      await Deno.writeTextFile(file, "quiet rivers in May\n");
      await post(server, "/auth/invitation", { code, password: "quiet rivers in May" });
      assert.equal(await create("--password-file", file), "login_wanted", "sessions of before are over");
      await loggedIn(data, server, "ada", "quiet rivers in May");
      assert.equal(await create("--password-file", file), undefined);
    } finally {
      await server.stop();
    }
    type Told = { authid: string; data: { reason?: string; purpose?: string } };
    const told = async (type: string) =>
      (await document<{ events: Told[] }>(["events", "--type", type, "--data", data])).events;
    const wrongs = (await told("identity.signin.failed")).map(({ data }) => data.reason);
    assert.deepEqual(wrongs, ["wrong_secret"], "what was shown wrongly");
    const { authid, data: { purpose } } = (await told("identity.invitation.issued")).at(-1)!;
    assert.deepEqual([authid, purpose], ["operator", "reset"]);

    const copy = `${dir}/copy`;
    assert.equal((await run(["backup", copy, "--with-keys", "--data", data], how)).code, 0);
    const restore = async (...more: string[]) =>
      (await document<{ error?: { code: string } }>(["restore", copy, "--data", `${dir}/two`, ...more], how)).error
        ?.code;
    assert.equal(await restore("--account", "ada"), "password_wanted");
    assert.equal(await restore("--account", "ada", "--password-file", wrong), "password_refused");
    assert.equal(await restore("--account", "bob", "--password-file", file), "password_refused", "bob may not");

    // A folder of somebody's own agrees to nothing here, whatever its log is called.
    const own = `${dir}/own`, mallory = `${dir}/mallory`;
    await Deno.writeTextFile(mallory, PASSWORD);
    const elsewhere = await start(own);
    try {
      await person(elsewhere, "mallory", "administrator");
      await loggedIn(own, elsewhere, "mallory");
    } finally {
      await elsewhere.stop();
    }
    const replacing = (folder: string, ...more: string[]) => restore("--replaces", folder, ...more);
    assert.equal(await replacing(own, "--password-file", file), "password_refused", "she is asked there");
    assert.equal(await replacing(own, "--password-file", mallory), "account_wanted", "and ada here");
    assert.equal(await replacing(own, "--account", "ada", "--password-file", mallory), "password_refused");
    await assert.rejects(Deno.stat(`${dir}/two`), "nothing was brought back");
    const { code: exit, err } = await run(
      ["restore", copy, "--data", `${dir}/same`, "--replaces", data, "--password-file", "-"],
      { ...how, stdin: "quiet rivers in May\n" },
    );
    assert.equal(exit, 0, `the folder of the same log is enough: ${err}`);
    assert.equal(await restore("--account", "ada", "--password-file", file), undefined);
  }));

/** What a camera would read off the terminal: two modules in each character, light ones drawn. */
const readOff = (drawn: string): string | undefined => {
  const lines = drawn.split("\n").filter((line) => /^[ █▀▄]+$/.test(line));
  const [width, height] = [lines[0]!.length, lines.length * 2];
  const SIZE = 4;
  const pixels = new Uint8ClampedArray(width * height * SIZE * SIZE * 4).fill(255);
  for (let y = 0; y < height * SIZE; y++) {
    for (let x = 0; x < width * SIZE; x++) {
      const [row, sign] = [Math.floor(y / SIZE), lines[Math.floor(y / SIZE / 2)]![Math.floor(x / SIZE)]!];
      const light = sign === "█" || sign === (row % 2 === 0 ? "▀" : "▄");
      pixels.fill(light ? 255 : 0, (y * width * SIZE + x) * 4, (y * width * SIZE + x) * 4 + 3);
    }
  }
  return jsQR(pixels, width * SIZE, height * SIZE)?.data;
};

Deno.test("a terminal shows a QR code that an authenticator reads, and takes the first code of it", () =>
  withPlace(async ({ data }) => {
    const server = await start(data);
    try {
      const { code } = await post(server, "/accounts", { name: "bob" }, server.token);
      await post(server, "/auth/invitation", { code, password: PASSWORD });
      const add = (stdin: string, ...more: string[]) =>
        run(["factors", "add", "--password-file", "-", "--data", data, ...more], { stdin });
      const stranger = await add(PASSWORD);
      assert.deepEqual([stranger.code, stranger.err], [1, "daybook: Sign in first: deno task daybook login\n"]);
      const { access_token } = await post(server, "/auth/sign-in", { name: "bob", password: PASSWORD });
      await login(data, server, access_token);
      assert.deepEqual((await run(["factors", "add", "--data", data])).code, 2, "it wants the password");
      assert.deepEqual((await add("\n")).code, 2);
      assert.match((await add("another\n")).err, /The password is another one/);
      assert.equal((await run(["factors", "list", "--data", data])).out, "no second factors\n");

      const shown = await add(`${PASSWORD}\n`);
      assert.equal(shown.code, 0, shown.err);
      const uri = readOff(shown.out)!;
      const totp = URI.parse(uri) as TOTP;
      assert.equal(totp.label, "bob");
      const typed = /^or type {2}([A-Z2-7 ]+)$/m.exec(shown.out)![1]!.replaceAll(" ", "");
      assert.equal(typed, totp.secret.base32, "what is typed is what is read");
      const factor = /deno task daybook factors confirm (\S+) CODE/.exec(shown.err)![1]!;
      const confirm = (code: string) =>
        document<{ codes?: string[]; error?: { code: string } }>(["factors", "confirm", factor, code, "--data", data]);
      assert.equal((await confirm("12 34")).error?.code, "code_refused");
      const confirmed = await confirm(totp.generate());
      assert.deepEqual([confirmed.exit, confirmed.codes?.length], [0, 10]);
      const { factors } = await document<{ factors: { kind: string }[] }>(["factors", "list", "--data", data]);
      assert.deepEqual(factors.map(({ kind }) => kind), ["totp", "backup_codes"]);

      assert.match((await add(PASSWORD)).err, /^daybook: Repeat it with --code/, "now a code is wanted as well");
      assert.equal((await add(PASSWORD, "--code", confirmed.codes![0]!)).code, 0);
    } finally {
      await server.stop();
    }
  }));

Deno.test("without a server nobody can sign a terminal in, and is told so", () =>
  withPlace(async ({ data }) => {
    const { code, out, err } = await run(["login", "--data", data]);
    assert.deepEqual([code, out], [1, ""]);
    assert.match(err, /^daybook: Nobody can sign a terminal in where no server runs; start one first\n$/);
  }));
