/** What stands above every page about the log: where one may go, and where one is. */
import type { Child } from "hono/jsx";

const PLACES = [["Views", "/views"], ["Events", "/events?order=desc"], ["API", "/docs"]] as const;

export const Head = (
  { here, children }: { readonly here?: (typeof PLACES)[number][0]; readonly children?: Child },
) => (
  <header>
    <h1>
      <a href="/">Daybook</a>
    </h1>
    {children}
    <nav>
      {PLACES.map(([name, href]) => (
        <a href={href} {...(name === here ? { "aria-current": "page" } : {})}>
          {name}
        </a>
      ))}
      <form method="post" action="/logout">
        <button type="submit">Sign out</button>
      </form>
    </nav>
  </header>
);
