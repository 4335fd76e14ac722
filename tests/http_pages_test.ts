/** Views and events as pages: what a browser asks for, a program is given as JSON at the same address. */
import assert from "node:assert/strict";
import { givenDaybook, sendData, type Site, structured, withSite } from "./http_given.ts";

// As Firefox and Chromium send it.
const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const SCRIPT = `<script>alert("&'")</script>`;

const open = async (site: Site, path: string, as = "read"): Promise<{ status: number; type: string; text: string }> => {
  const headers = { accept: BROWSER, cookie: `__Host-daybook_session=s-${as}` };
  const response = await site.send(path, { as: null, headers });
  return { status: response.status, type: response.headers.get("content-type")!, text: await response.text() };
};
/** Cells of the table's rows, without the markup. */
const cells = (html: string): readonly (readonly string[])[] =>
  [...html.matchAll(/<tr[^>]*>(<td.*?)<\/tr>/gs)].map(([, row]) =>
    [...row!.matchAll(/<td[^>]*>(.*?)<\/td>/gs)].map(([, cell]) => cell!.replaceAll(/<[^>]*>/g, ""))
  );
const linksOf = (html: string): readonly string[] =>
  [...html.matchAll(/href="([^"]*)"/g)].map(([, link]) => link!.replaceAll("&amp;", "&"));

Deno.test("views, rows and events are pages for a browser, and JSON for everybody else at the same address", () =>
  withSite(async (site) => {
    await sendData(site, "1", { name: "door" });
    // As Java sends it by itself.
    const java = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2";
    for (const path of ["/views", "/views/things.seen", "/views/things.seen/door", "/events", "/events/0"]) {
      const { status, type, text } = await open(site, path);
      assert.deepEqual([status, type], [200, "text/html; charset=utf-8"], path);
      assert.match(text, /^<!doctype html><html lang="en">.*<\/html>$/s, path);
      for (const accept of ["*/*", "application/json", "application/json, text/html;q=0.9", java, BROWSER]) {
        const response = await site.send(path, { headers: { accept } });
        assert.equal(response.headers.get("content-type"), "application/json", `${path} ${accept}`);
        await response.body?.cancel();
      }
      const page = await site.send(path, { headers: { accept: "text/html" } });
      assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8", path);
      await page.body?.cancel();
      const asked = await site.send(path, { as: null, headers: { accept: BROWSER } });
      assert.deepEqual([asked.status, asked.headers.get("location")], [
        303,
        `/login?next=${encodeURIComponent(path)}`,
      ]);
      assert.equal((await site.send(path, { as: null })).status, 401, path);
    }
  }));

Deno.test("a page of a view has its rows, sorted and filtered by its links and its form, one page after the other", () =>
  withSite(async (site) => {
    for (const [i, name] of ["a", "b", "b", "c"].entries()) await sendData(site, String(i), { name });
    const all = await open(site, "/views/things.seen");
    assert.deepEqual(cells(all.text).map(([key]) => key), ["a", "b", "c"]);
    // A form sends what was left empty, too.
    const asked = await open(site, "/views/things.seen?q=&prefix=&where.name=b&where.times=&at=");
    assert.deepEqual(cells(asked.text), [["b", "2"]]);
    assert.match(asked.text, /<input name="where.name" value="b"\/>/);
    const sorted = linksOf(all.text).find((link) => link.includes("sort=times"))!;
    const up = await open(site, sorted);
    assert.deepEqual(cells(up.text).map(([key]) => key), ["a", "c", "b"]);
    const down = await open(site, linksOf(up.text).find((link) => link.includes("sort=-times"))!);
    assert.deepEqual(cells(down.text).map(([key]) => key), ["b", "c", "a"]);
    assert.match(down.text, /aria-sort="descending"/);
    let page = await open(site, "/views/things.seen?limit=1&sort=times");
    const seen = [cells(page.text)[0]![0]];
    for (let next; (next = linksOf(page.text).find((link) => link.includes("after=")));) {
      page = await open(site, next);
      seen.push(cells(page.text)[0]![0]);
    }
    assert.deepEqual(seen, ["a", "c", "b"]);
    const then = await open(site, "/views/things.seen?at=0");
    assert.deepEqual(cells(then.text).map(([key]) => key), ["a"]);
    const row = await open(site, linksOf(then.text).find((link) => link.startsWith("/views/things.seen/a?"))!);
    assert.ok(linksOf(row.text).includes("/views/things.seen?at=0"), "back to the view as of then");
    assert.deepEqual(cells((await open(site, "/views/things.seen?at=2000-01-01T00:00:00Z")).text), []);
  }));

/** What its form would ask: names and values. */
const formOf = (html: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    [...html.matchAll(/<input(?: type="hidden")? name="([^"]*)" value="([^"]*)"/g)].map(([, name, value]) =>
      [name!, value!] as const
    ).filter(([, value]) => value !== ""),
  );

Deno.test("a field that is called as a parameter is not asked for where the parameter was", () => {
  const { daybook } = givenDaybook();
  const projections = daybook.projections.map((view) => ({ ...view, indexes: [...view.indexes ?? [], "at"] }));
  return withSite(async (site) => {
    await sendData(site, "1", { name: "a" });
    const { text } = await open(site, "/views/things.seen?at=0&name=a");
    assert.deepEqual(cells(text).map(([key]) => key), ["a"]);
    assert.deepEqual(formOf(text), { at: "0", "where.name": "a" });
  }, { daybook: { ...daybook, projections } });
});

Deno.test("a view that is ordered by position alone has no links and no input for another order or for how its keys begin", () => {
  const { daybook } = givenDaybook();
  const projections = daybook.projections.map((view) => ({ ...view, appendOnly: true }));
  return withSite(async (site) => {
    await sendData(site, "1", { name: "a" });
    const { text } = await open(site, "/views/things.seen");
    assert.deepEqual(linksOf(text).filter((link) => link.includes("sort=")), ["/views/things.seen?sort=-key"]);
    assert.deepEqual([...text.matchAll(/<input name="([^"]*)"/g)].map(([, name]) => name), [
      "q",
      "where.name",
      "where.times",
      "at",
    ]);
  }, { daybook: { ...daybook, projections } });
});

Deno.test("a page says by what its rows are sorted, which those that were asked for are not by key", () =>
  withSite(async (site) => {
    for (const [i, name] of ["b", "a", "c"].entries()) await sendData(site, String(i), { name });
    const sortedOf = async (query: string) => {
      const { text } = await open(site, `/views/things.seen${query}`);
      const [, by] = /<th class="[^"]*" aria-sort="ascending"><a [^>]*>(.*?)<\/a>/.exec(text) ?? [];
      return [by, cells(text).map(([key]) => key).join("")];
    };
    assert.deepEqual(await sortedOf(""), ["key", "abc"]);
    assert.deepEqual(await sortedOf("?where.times=1"), [undefined, "bac"]);
    const asked = await open(site, "/views/things.seen?times=1");
    const byKey = linksOf(asked.text).find((link) => link.includes("sort=key"))!;
    assert.deepEqual(await sortedOf(byKey.slice(byKey.indexOf("?"))), ["key", "abc"]);
    assert.deepEqual(await sortedOf("?times=1&sort=times"), ["times", "bac"]);
  }));

Deno.test("a form asks in the order and by as many as the page it is on", () =>
  withSite(async (site) => {
    for (const name of ["a", "b"]) await sendData(site, name, { name });
    const view = await open(site, "/views/things.seen?sort=times&order=desc&limit=1&from=0&until=2&name=b");
    const next = await open(site, linksOf(view.text).find((link) => link.includes("after=")) ?? "/views/things.seen");
    assert.deepEqual(formOf(view.text), {
      "where.name": "b",
      sort: "times",
      order: "desc",
      limit: "1",
      from: "0",
      until: "2",
    });
    assert.equal(formOf(next.text).after, undefined);
    const events = await open(site, "/events?order=desc&limit=1");
    assert.deepEqual(formOf(events.text), { order: "desc", limit: "1" });
  }));

Deno.test("nothing that an event says is markup on a page, and what is sealed stays so", () =>
  withSite(async (site) => {
    await sendData(site, "1", { name: SCRIPT, who: "Ann" });
    const key = encodeURIComponent(SCRIPT);
    const told = encodeURIComponent(`"><img src=x>`);
    const paths = [
      "/views/things.seen",
      `/views/things.seen/${key}`,
      "/events/0",
      `/views/things.seen?q=${told}&where.name=${told}`,
      `/events?type=${told}&stream=${told}`,
    ];
    for (const path of paths) {
      const { status, text } = await open(site, path);
      assert.equal(status, 200, path);
      assert.ok(!text.includes("<script>alert") && !text.includes("<img"), path);
      assert.ok(!text.includes("Ann"), path);
    }
    for (const path of paths.slice(0, 3)) {
      assert.match((await open(site, path)).text, /&lt;script&gt;alert\(/, path);
      assert.match((await open(site, path)).text, /\[sealed\]/, path);
      assert.match((await open(site, path, "read+personal")).text, /Ann/, path);
    }
  }));

Deno.test("events lead to what belongs with them, and back and forth through the log", () =>
  withSite(async (site) => {
    for (const i of [0, 1, 2]) await sendData(site, String(i), { name: "door" });
    const { text } = await open(site, "/events/1");
    const links = linksOf(text);
    for (const link of ["/events/0", "/events/2", "/proofs/inclusion?position=1"]) {
      assert.ok(links.includes(link), link);
    }
    for (const about of ["stream=", "type=", "correlation="]) {
      const listed = await open(site, links.find((link) => link.startsWith("/events?") && link.includes(about))!);
      assert.ok(cells(listed.text).some(([position]) => position === "1"), about);
    }
    const newest = await open(site, "/events?order=desc&limit=2");
    assert.deepEqual(cells(newest.text).map(([position]) => position), ["2", "1"]);
    const older = linksOf(newest.text).find((link) => link.includes("until="))!;
    assert.deepEqual(cells((await open(site, older)).text).map(([position]) => position), ["0"]);
  }));

Deno.test("what cannot be answered is a page that says what was wrong with which part of the question", () =>
  withSite(async (site) => {
    const wrong = await open(site, "/events?limit=many");
    assert.deepEqual([wrong.status, wrong.type], [400, "text/html; charset=utf-8"]);
    assert.match(wrong.text, /<code>\?limit<\/code> expected a whole number from 1 to/);
    assert.match((await open(site, "/views/things.seen?where.nope=1")).text, /no indexed field &quot;nope&quot;/);
    // A link has what it is about, and brings nothing that turns or hides text.
    for (const asked of ["/events?a%E2%80%AEb=1", "/views/things.seen?where.a%E2%80%AEb=1"]) {
      const { text } = await open(site, asked);
      assert.ok(text.includes("a\\u202eb") && !text.includes("\u202e"), asked);
    }
    for (const path of ["/views/nope", "/views/things.seen/nope", "/events/99"]) {
      const { status, type } = await open(site, path);
      assert.deepEqual([status, type], [404, "text/html; charset=utf-8"], path);
    }
    const scope = await open(site, "/views", "ingest");
    assert.equal(scope.status, 403);
    assert.match(scope.text, /This needs the scope read.*Sign out/s);
  }));

Deno.test("what turns or hides text is shown as an escape, so that nothing looks like what it is not; what writing needs stays", () =>
  withSite(async (site) => {
    const family = "👩‍👩‍👧‍👦 می‌خواهم র‍্যাব ರ‍್ಕ 🏴󠁧󠁢󠁥󠁮󠁧󠁿";
    for (const [i, name] of ["main", "\u202eniam", "ma\u200bin", family].entries()) {
      await sendData(site, String(i), { name, who: "x\u0000\u{e0041}\r\ny\rz\tw" });
    }
    const type = "tests.\u202eodd";
    const body = JSON.stringify({ specversion: "1.0", id: "odd", source: "/odd", type, data: { "\u2066a": 1 } });
    assert.equal((await site.send("/events", { method: "POST", headers: structured, body })).status, 201);
    const view = await open(site, "/views/things.seen");
    const told = ["main", "ma\\u200bin", "\\u202eniam", family].sort();
    assert.deepEqual(cells(view.text).map(([key]) => key!).sort(), told);
    const row = await open(site, `/views/things.seen/${encodeURIComponent("\u202eniam")}`);
    assert.match(row.text, /<title>\\u202eniam · things.seen · Daybook<\/title>.*<small>\\u202eniam<\/small>/s);
    const event = await open(site, "/events/0", "read+personal");
    assert.match(event.text, /<span class="text">x\\u0000\\u\{e0041\}\r\ny\\u000dz\tw<\/span>/);
    assert.match((await open(site, "/events/4")).text, /<h2>tests.\\u202eodd<small>event .*<dt>\\u2066a<\/dt>/s);
    for (const path of ["/events", "/events/4", "/"]) {
      const { text } = await open(site, path);
      assert.ok(text.includes("tests.\\u202eodd"), path);
      assert.doesNotMatch(text, /[\u202a-\u202e\u2066-\u2069]/, path);
    }
    // What is asked for again stands in its form as it was asked.
    assert.ok((await open(site, "/views/things.seen?q=a%E2%80%AEb")).text.includes('value="a\u202eb"'));
  }));

Deno.test("of a text with further lines a table shows the first, and that there are more", () =>
  withSite(async (site) => {
    await sendData(site, "1", { name: "Merged\r\nnot at all" });
    const { text } = await open(site, "/views/things.seen");
    assert.match(text, /<span title="Merged\r\nnot at all">Merged…<\/span>/);
    // A line that ends has none behind it.
    await sendData(site, "2", { name: "Closed\n" });
    assert.match((await open(site, "/views/things.seen")).text, /<span title="Closed\n">Closed<\/span>/);
  }));

Deno.test("a form takes a time as pages show it, and blanks around it", () =>
  withSite(async (site) => {
    await sendData(site, "1", { name: "a" });
    const [, recorded] = /<time datetime="([^"]+)">/.exec((await open(site, "/events")).text)!;
    const [day, time] = [recorded!.slice(0, 10), recorded!.slice(11, -1)];
    for (const at of [`${day} ${time}Z`, `  ${day} ${time}`, `${day} ${time}+00:00 `, " 0 "]) {
      const { status, text } = await open(site, `/views/things.seen?${new URLSearchParams({ at })}`);
      assert.deepEqual([status, cells(text)], [200, [["a", "1"]]], at);
    }
    assert.equal((await open(site, "/views/things.seen?at=2000-01-01+00%3A00%3A00")).status, 200);
    assert.equal((await open(site, `/events?from=+0+&until=`)).status, 200);
    assert.equal((await open(site, `/views/things.seen?at=${day}+noon`)).status, 400);
    const program = await site.send(`/views/things.seen?${new URLSearchParams({ at: `${day} ${time}Z` })}`);
    assert.equal(program.status, 400, await program.text());
  }));
