/** A real Chromium for tests of pages, and a server for it to look at. */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const EXECUTABLE = "/usr/bin/chromium";

/** How long anything may take on a busy machine. */
const PATIENCE_MS = 120_000;

/** Why there is no browser here, or `undefined` if there is one. In CI there has to be one. */
export const noBrowser = (): string | undefined => {
  try {
    Deno.statSync(EXECUTABLE);
    return undefined;
  } catch {
    if (Deno.env.get("CI") === "true") throw new Error(`${EXECUTABLE} is needed where CI=true`);
    return `${EXECUTABLE} is not installed`;
  }
};

/** Of a telephone, and of a table. */
const WIDTHS = [390, 1280] as const;

/**
 * Takes pictures of pages as they were seen, whole, on a narrow and on a wide screen, and fails where one is wider than the screen. They
 * lie in one folder for all tests of a run, which is told; `DAYBOOK_SHOTS` names another.
 */
export const pictures = async (test: string): Promise<(page: Page, name: string) => Promise<void>> => {
  const folder = `${Deno.env.get("DAYBOOK_SHOTS") ?? `${TEMPORARY}/daybook-pages-${Deno.pid}`}/${test}`;
  await Deno.mkdir(folder, { recursive: true });
  console.log(`pictures: ${folder}`);
  let number = 0;
  return async (page, name) => {
    const before = page.viewportSize()!;
    number++;
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: before.height });
      const within = await page.evaluate("document.documentElement.scrollWidth") as number;
      if (within > width) throw new Error(`${name} is ${within - width} px wider than a screen of ${width}`);
      await page.screenshot({
        path: `${folder}/${String(number).padStart(2, "0")}-${name}-${width}.png`,
        fullPage: true,
      });
    }
    await page.setViewportSize(before);
  };
};

const TEMPORARY = Deno.env.get("TMPDIR") ?? "/tmp";

export interface Looking {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the console said at level warning or error, and pages that threw. */
  readonly complaints: string[];
  /** Requests to anywhere but the server, but `data:`. */
  readonly strangers: string[];
}

/** A fresh browser with a fresh profile, closed afterwards. */
export const withBrowser = async (
  url: string,
  options: { readonly width: number; readonly height: number; readonly dark?: boolean; readonly scripts?: boolean },
  look: (looking: Looking) => Promise<void>,
): Promise<void> => {
  const profile = Deno.makeTempDirSync({ prefix: "daybook-browser-" });
  let context: BrowserContext | undefined;
  let browser: Browser | null | undefined;
  try {
    context = await chromium.launchPersistentContext(profile, {
      executablePath: EXECUTABLE,
      headless: true,
      timeout: PATIENCE_MS,
      viewport: { width: options.width, height: options.height },
      colorScheme: options.dark ? "dark" : "light",
      javaScriptEnabled: options.scripts ?? true,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    context.setDefaultTimeout(PATIENCE_MS);
    browser = context.browser();
    const complaints: string[] = [];
    const strangers: string[] = [];
    const page = context.pages()[0] ?? await context.newPage();
    page.on("console", (message) => {
      if (["warning", "error"].includes(message.type())) {
        complaints.push(`${message.text()} (${message.location().url})`);
      }
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith("data:")) strangers.push(request.url());
    });
    await look({ page, context, complaints, strangers });
  } finally {
    await context?.close();
    await browser?.close();
    Deno.removeSync(profile, { recursive: true });
  }
};
