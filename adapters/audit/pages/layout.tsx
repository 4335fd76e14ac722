/** What the pages of an audit folder share. They need no script and nothing from anywhere else, and their policy says so. */
import { createHash } from "node:crypto";
import type { Child } from "hono/jsx";
import css from "./audit.css" with { type: "text" };

/** Content Security Policy Level 3: this style, and icons that are in the page. */
const POLICY = `default-src 'none'; style-src 'sha256-${
  createHash("sha256").update(css).digest("base64")
}'; img-src data:; base-uri 'none'; form-action 'none'`;

/** A book with a tick. */
const ICON = `data:image/svg+xml,${
  encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect x="2" y="1" width="12" height="14" rx="2" fill="#2d5d8f"/>` +
      `<path d="M4.5 8.5l2.5 2.5 4.5-6" stroke="#fff" stroke-width="1.6" fill="none" stroke-linecap="round" stroke-linejoin="round"/></svg>`,
  )
}`;

const Page = ({ title, children }: { readonly title: string; readonly children?: Child }) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta http-equiv="content-security-policy" content={POLICY} />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="referrer" content="no-referrer" />
      <title>{title}</title>
      <link rel="icon" href={ICON} />
      <style dangerouslySetInnerHTML={{ __html: css }} />
    </head>
    <body>
      <a class="skip" href="#content">To the content</a>
      {children}
    </body>
  </html>
);

/** A whole page as text. */
export const rendered = (title: string, body: Child): string =>
  `<!doctype html>\n${<Page title={title}>{body}</Page>}\n`;

const MARK = "\u0000";

/** What stands before and behind a body that is too long to be made at once: `body` is called with what to put where it belongs. */
export const around = (title: string, body: (gap: string) => Child): readonly [before: string, behind: string] => {
  const [before, behind] = rendered(title, body(MARK)).split(MARK);
  return [before!, behind!];
};

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export const count = (value: number): string => numbers.format(value);

/** `2026-11-20 09:00:00 UTC`; what is no such time stays as it is. */
const moment = (time: string): string =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(time) ? `${time.slice(0, 10)} ${time.slice(11, 19)} UTC` : time;

export const Time = ({ at }: { readonly at: string }) => <time datetime={at}>{moment(at)}</time>;

/** Where an event is told of. */
export const EventLink = ({ position, label }: { readonly position: number; readonly label?: string }) => (
  <a href={`evidence.html#p${position}`}>{label ?? count(position)}</a>
);
