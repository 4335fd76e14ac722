/** What all pages share: one style, three small scripts, and a policy that allows nothing else. */
import { createHash } from "node:crypto";
import type { Child } from "hono/jsx";
import type { Exchange } from "../route.ts";
import css from "./page.css" with { type: "text" };
import goOn from "./go_on.js" with { type: "text" };
import script from "./live.js" with { type: "text" };
import passkeys from "./passkeys.js" with { type: "text" };

const sourceOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Content Security Policy Level 3: this style and these scripts by their hashes, our own streams, our own forms. */
const POLICY = [
  "default-src 'none'",
  `style-src ${sourceOf(css)}`,
  `script-src ${sourceOf(script)} ${sourceOf(passkeys)} ${sourceOf(goOn)}`,
  "connect-src 'self'",
  "img-src data:",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Three entries in a book; inline in our pages, and under `/favicon.ico` for what a browser shows of its own. */
const ICON =
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect x="2" y="1" width="12" height="14" rx="2" fill="#2d5d8f"/>` +
  `<path d="M5 5h6M5 8h6M5 11h4" stroke="#fff" stroke-width="1.4" stroke-linecap="round"/></svg>`;
const ICON_URL = `data:image/svg+xml,${encodeURIComponent(ICON)}`;

export interface PageProps {
  readonly title: string;
  readonly live?: boolean;
  /** Where the browser goes on to by itself: a path of ours, or where a form may not lead. */
  readonly onward?: string;
  /** Whether its form is sent by itself. */
  readonly goesOn?: boolean;
  /** Whether a form of it asks the browser's authenticator. */
  readonly asks?: boolean;
  readonly children?: Child;
}

export const Page = ({ title, live, onward, goesOn, asks, children }: PageProps) => (
  <html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <title>{title}</title>
      <link rel="icon" href={ICON_URL} />
      <style dangerouslySetInnerHTML={{ __html: css }} />
      {onward !== undefined && <meta http-equiv="refresh" content={`0; url=${onward}`} />}
      {live && (
        <noscript>
          <meta http-equiv="refresh" content="10" />
        </noscript>
      )}
    </head>
    <body>
      {children}
      {live && <script type="module" dangerouslySetInnerHTML={{ __html: script }} />}
      {goesOn && <script type="module" dangerouslySetInnerHTML={{ __html: goOn }} />}
      {asks && <script type="module" dangerouslySetInnerHTML={{ __html: passkeys }} />}
    </body>
  </html>
);

/** Headers that go with every page, whatever its own policy. */
export const pageHeaders = (exchange: Pick<Exchange, "id" | "way">, policy = POLICY): Record<string, string> => ({
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": policy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  // With `no-referrer` a browser would send `Origin: null` with our own forms.
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "x-request-id": exchange.id,
  ...(exchange.way.secure && { "strict-transport-security": "max-age=31536000" }),
});

export const page = (
  exchange: Pick<Exchange, "id" | "way">,
  status: number,
  body: { toString(): string },
  more?: Record<string, string>,
): Response => new Response(`<!doctype html>${body}`, { status, headers: { ...pageHeaders(exchange), ...more } });

export const icon = (exchange: Pick<Exchange, "id">): Response =>
  new Response(ICON, {
    headers: {
      "content-type": "image/svg+xml",
      "cache-control": "public, max-age=86400",
      "x-content-type-options": "nosniff",
      "x-request-id": exchange.id,
    },
  });
