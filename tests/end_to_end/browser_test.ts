/** The pages as a person meets them: a real server, a real browser. */
import assert from "node:assert/strict";
import { withAudit } from "../audit_given.ts";
import { noBrowser, withBrowser } from "./browser_given.ts";
import { type Started, withStarted } from "./browser_server.ts";
import { until } from "../until.ts";

const missing = noBrowser();
const inBrowser = (name: string, test: () => Promise<void>): void =>
  Deno.test(name, async () => {
    if (missing !== undefined) return console.log(`skipped: ${missing}`);
    await test();
  });

const send = async (
  { url, token }: Started,
  id: string,
  { type = "browser.visit.made", data = { id } }: { readonly type?: string; readonly data?: unknown } = {},
): Promise<number> => {
  const response = await fetch(`${url}/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/cloudevents+json" },
    body: JSON.stringify({ specversion: "1.0", id, source: "urn:browser", type, data }),
  });
  const text = await response.text();
  assert.equal(response.status, 201, text);
  return JSON.parse(text).receipts[0].position;
};

const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844, dark: true };

inBrowser(
  "a person signs in, sees the tree of health, and sees an event come in by itself",
  () =>
    withStarted(async (started) => {
      const { url, token } = started;
      await send(started, "before");
      for (const size of [DESK, PHONE]) {
        await withBrowser(url, size, async ({ page, context, complaints, strangers }) => {
          await page.goto(`${url}/`);
          assert.equal(new URL(page.url()).pathname, "/login");
          // The browser itself tells of the answer 401; nothing else may complain.
          await page.fill("#token", "dbk_wrong");
          await page.click("button");
          await page.getByRole("alert").waitFor();
          assert.ok(complaints.splice(0).every((complaint) => complaint.includes("401")));
          await page.fill("#token", token);
          await page.click("button");
          await page.locator(".tree .node").first().waitFor();
          assert.ok(await page.locator(".tree .node").count() > 3);
          await page.locator("#lamp", { hasText: "live" }).waitFor();
          const id = `live-${size.width}`;
          // What the process records of itself, as what the controls find, may come in above it, and with it the page is drawn anew.
          const came = page.locator("tr", { hasText: "browser.visit.made" }).first();
          const fresh = page.locator("tr.fresh", { hasText: "browser.visit.made" });
          assert.equal(await fresh.count(), 0, "what the page came with");
          await page.evaluate(`{
            globalThis.cameFresh = 0;
            new MutationObserver(() => {
              const rows = [...document.querySelectorAll("tr.fresh")];
              if (rows.some((row) => row.textContent.includes("browser.visit.made"))) globalThis.cameFresh++;
            }).observe(document.getElementById("live"), { subtree: true, childList: true, attributes: true });
          }`);
          await page.locator("a[href='/views/audit.trail']").focus();
          await send(started, id);
          await until("it comes in, marked as new", () => page.evaluate("globalThis.cameFresh"));
          assert.equal(
            await page.evaluate("document.activeElement.getAttribute('href')"),
            "/views/audit.trail",
            "who goes by keyboard stays where they are",
          );
          const [cookie] = await context.cookies();
          const { name, httpOnly, sameSite, secure } = cookie!;
          assert.deepEqual([name, httpOnly, sameSite, secure], ["__Host-daybook_session", true, "Strict", true]);
          const overflow = await page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth",
          );
          assert.equal(overflow, 0, `the page is ${overflow} px wider than the screen`);
          await came.locator("td.position a").click();
          assert.match(await page.locator("body").innerText(), /browser\.visit\.made/);
          await page.goto(url);
          await page.getByRole("button", { name: "Sign out" }).click();
          await page.locator("#token").waitFor();
          await page.goto(url);
          assert.equal(new URL(page.url()).pathname, "/login");
          assert.deepEqual([complaints, strangers], [[], []]);
        });
      }
    }),
);

inBrowser(
  "views and events are read from the status page on, without scripts, on a desk and on a phone",
  () =>
    withStarted(async (started) => {
      const { url, token } = started;
      for (const id of ["first", "second"]) await send(started, id);
      for (const size of [DESK, PHONE]) {
        await withBrowser(url, { ...size, scripts: false }, async ({ page, complaints, strangers }) => {
          const narrow = async () => {
            const over = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            assert.equal(await page.evaluate(over), 0, `${page.url()} is wider than the screen`);
          };
          await page.goto(`${url}/views`);
          await page.fill("#token", token);
          await page.click("button");
          await page.getByRole("link", { name: "Daybook" }).click();
          await page.getByRole("link", { name: "audit.trail" }).click();
          await page.getByText("Ask").click();
          await page.getByLabel("type").fill("browser.visit.made");
          await page.getByRole("button", { name: "Show" }).click();
          await narrow();
          assert.equal(await page.locator("tbody tr").count(), 2);
          await page.getByRole("columnheader", { name: "key" }).getByRole("link").click();
          assert.match(page.url(), /sort=-key/);
          await page.locator("tbody a").first().click();
          await narrow();
          assert.match(await page.locator("main").innerText(), /browser\.visit\.made/);
          await page.locator(".below a").click();
          assert.match(await page.locator("h2").innerText(), /browser\.visit\.made/);
          assert.match(await page.locator("dl").first().innerText(), /second/);
          await narrow();
          await page.getByRole("link", { name: "Of this stream" }).click();
          await narrow();
          assert.deepEqual(await page.locator("td.type").allInnerTexts(), Array(2).fill("browser.visit.made"));
          // One that is made when it is asked says first what can be asked.
          await page.goto(`${url}/views/access.who_could`);
          assert.equal(await page.locator("table").count(), 0);
          await page.getByLabel("action").fill("events.read");
          await page.getByLabel("resource").fill("log");
          await page.getByRole("button", { name: "Show" }).click();
          await narrow();
          assert.ok(await page.locator("tbody tr").count() > 0);
          assert.deepEqual([complaints, strangers], [[], []]);
        });
      }
    }),
);

inBrowser("what is long or lies deep makes no page wider than the screen", () =>
  withStarted(async (started) => {
    const { url, token } = started;
    const type = `browser.${"y".repeat(200)}.made`;
    const deep = Array(28).fill("in").reduce((data, name) => ({ [name]: data }), "here");
    const position = await send(started, "wide", { type, data: deep });
    await withBrowser(url, DESK, async ({ page }) => {
      await page.goto(url);
      await page.fill("#token", token);
      await page.click("button");
      for (const width of [320, 1280]) {
        await page.setViewportSize({ width, height: 800 });
        for (const path of [`/events/${position}`, `/events?from=${position}`, `/views/audit.trail/${position}`]) {
          await page.goto(url + path);
          assert.equal(await page.evaluate("document.documentElement.scrollWidth"), width, path);
        }
      }
      await page.goto(`${url}/events/${position}`);
      const { width } = (await page.getByText("here", { exact: true }).boundingBox())!;
      assert.ok(width > 20, "what lies deepest stands on one line");
    });
  }));

/** WCAG 2.2, relative luminance of `rgb(…)`. */
const luminance = (color: string): number => {
  const [r, g, b] = color.match(/\d+/g)!.slice(0, 3).map((text) => {
    const part = Number(text) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
};

inBrowser(
  "WCAG 1.4.11: where there is something to fill in is seen, in light and in dark",
  () =>
    withStarted(async ({ url, token }) => {
      for (const dark of [false, true]) {
        await withBrowser(url, { ...DESK, dark }, async ({ page }) => {
          const seen = async (field: string) => {
            const colors = await page.evaluate(`(() => {
            const input = document.querySelector(${JSON.stringify(field)});
            return [getComputedStyle(input).borderTopColor, getComputedStyle(input.closest("section")).backgroundColor];
          })()`) as [string, string];
            const [darker, lighter] = colors.map(luminance).sort((a, b) => a - b);
            const ratio = (lighter! + 0.05) / (darker! + 0.05);
            assert.ok(ratio >= 3, `${field} ${dark ? "dark" : "light"}: ${ratio.toFixed(2)}`);
          };
          await page.goto(`${url}/sign-in`);
          await seen("#name");
          await page.goto(`${url}/login`);
          await page.fill("#token", token);
          await page.click("button");
          await page.waitForURL(`${url}/`);
          await page.goto(`${url}/events?type=none`);
          await seen("input[name=type]");
        });
      }
    }),
);

inBrowser("the page is whole without scripts", () =>
  withStarted(async (started) => {
    await send(started, "before");
    await withBrowser(started.url, { ...DESK, scripts: false }, async ({ page, complaints, strangers }) => {
      await page.goto(started.url);
      await page.fill("#token", started.token);
      await page.click("button");
      // What starting records may have pushed the first one off the page.
      await send(started, "after");
      await page.goto(started.url);
      const text = await page.locator("body").innerText();
      for (const said of ["Health", "Views", "Last events", "browser.visit.made", "audit.trail"]) {
        assert.ok(text.includes(said), said);
      }
      assert.equal(await page.locator("#lamp").innerText(), "as of now");
      await page.getByRole("link", { name: "API" }).click();
      await page.getByRole("link", { name: "/openapi.json" }).click();
      assert.match(await page.locator("body").innerText(), /"openapi":/);
      assert.deepEqual([complaints, strangers], [[], []]);
    });
  }));

inBrowser(
  "an audit is read from a disk, without scripts, from a control to the event that shows it",
  () =>
    withAudit(async (folder) => {
      const url = `file://${folder}`;
      for (const size of [DESK, PHONE]) {
        await withBrowser(url, { ...size, scripts: false }, async ({ page, complaints, strangers }) => {
          await page.goto(`${url}/index.html`);
          assert.match(await page.locator("h1").innerText(), /^Audit of /);
          assert.equal(await page.locator("svg[role=img]").count(), 4);
          const failed = page.locator("#controls tr", { hasText: "lockout-after-failures" }).first();
          assert.match(await failed.innerText(), /✗ fail/);
          const wide = await page.locator("main").evaluate((main) => main.scrollWidth - main.clientWidth);
          assert.ok(wide <= 0, `the page is ${wide} px wider than the screen`);
          await failed.locator(".evidence a").first().click();
          assert.match(page.url(), /evidence\.html#p\d+$/);
          const article = page.locator(`article${new URL(page.url()).hash}`);
          assert.match(await article.innerText(), /identity\.signin\.failed/);
          assert.deepEqual([complaints, strangers], [[], []]);
        });
      }
    }),
);

inBrowser("the documentation draws itself with nothing from elsewhere", () =>
  withStarted(async (started) => {
    await withBrowser(started.url, DESK, async ({ page, complaints, strangers }) => {
      await page.goto(`${started.url}/docs`);
      await page.fill("#token", started.token);
      await page.click("button");
      await page.locator(".opblock").first().waitFor();
      assert.equal(new URL(page.url()).pathname, "/docs");
      // Of many operations only those in sight are drawn.
      const last = page.locator(".opblock", { hasText: "/views/commits.history" }).first();
      await until("the last operation is drawn", async () => {
        await page.mouse.move(600, 400);
        await page.mouse.wheel(0, 700);
        await page.evaluate("new Promise(requestAnimationFrame)");
        return await last.count();
      });
      await last.waitFor();
      assert.deepEqual([complaints, strangers], [[], []]);
    });
  }));
