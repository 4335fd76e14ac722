/** `/docs`: the OpenAPI document to read and try, by Swagger UI, served from here; nothing is fetched from elsewhere. */
import { createHash } from "node:crypto";
import { pageHeaders } from "./pages/layout.tsx";
import { Problem } from "./problem.ts";
import type { Exchange } from "./route.ts";

const START =
  `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null, tryItOutEnabled: true });`;

/** As the status page has it: where an account is signed in, it leads to where it signs out. */
const NAV =
  `<nav style="display:flex;justify-content:space-between;padding:1rem 1.25rem;font:15px/1.5 system-ui,sans-serif">` +
  `<a href="/">Daybook</a><form method="post" action="/logout"><button type="submit">Sign out</button></form></nav>`;

const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8">` +
  `<meta name="viewport" content="width=device-width, initial-scale=1"><title>API · Daybook</title><link rel="icon" href="data:,">` +
  `<link rel="stylesheet" href="/docs/swagger-ui.css"></head><body>${NAV}<noscript><p style="padding:0 1.25rem;font:15px/1.5 system-ui,sans-serif">` +
  `This page is drawn by a script. What it shows is in <a href="/openapi.json">/openapi.json</a>.</p></noscript><div id="api"></div>` +
  `<script src="/docs/swagger-ui-bundle.js"></script><script>${START}</script></body></html>`;

// Swagger UI sets style attributes as it draws; scripts stay ours alone.
const POLICY = [
  "default-src 'none'",
  "style-src 'self' 'unsafe-inline'",
  `script-src 'self' 'sha256-${createHash("sha256").update(START).digest("base64")}'`,
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src data:",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const docsPage = (exchange: Exchange): Response =>
  new Response(PAGE, { headers: pageHeaders(exchange, POLICY) });

type Text = { readonly default: string };
const FILES: Readonly<Record<string, readonly [string, () => Promise<Text>]>> = {
  "swagger-ui.css": [
    "text/css; charset=utf-8",
    () => import("swagger-ui-dist/swagger-ui.css", { with: { type: "text" } }),
  ],
  "swagger-ui-bundle.js": [
    "text/javascript; charset=utf-8",
    () => import("swagger-ui-dist/swagger-ui-bundle.js", { with: { type: "text" } }),
  ],
};

/** The files of Swagger UI, loaded when first asked for: they are larger than all else together. */
export const docsFile = async (exchange: Exchange): Promise<Response> => {
  const name = exchange.path.slice("/docs/".length);
  const file = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (!file) throw new Problem("not_found", "The documentation has no such file.");
  const [type, load] = file;
  return new Response((await load()).default, {
    headers: {
      "content-type": type,
      "cache-control": "private, max-age=86400",
      "x-content-type-options": "nosniff",
      "x-request-id": exchange.id,
    },
  });
};
