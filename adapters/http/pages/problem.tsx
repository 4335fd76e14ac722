/** A problem for people: the same that a program is told, as a page. */
import type { Problem } from "../problem.ts";
import { PROBLEMS } from "../problem.ts";
import type { Exchange } from "../route.ts";
import { Page, page } from "./layout.tsx";

const ProblemPage = (
  { title, detail, id }: { readonly title: string; readonly detail: string; readonly id: string },
) => (
  <Page title={`${title} · Daybook`}>
    <main class="login">
      <section>
        <h1>{title}</h1>
        <p>{detail}</p>
        <form method="post" action="/logout">
          <button type="submit">Sign in with another token</button>
        </form>
        <p class="hint">
          Request <code>{id}</code> · <a href="/">Status</a>
        </p>
      </section>
    </main>
  </Page>
);

export const problemPage = (exchange: Pick<Exchange, "id" | "way">, problem: Problem): Response =>
  page(
    exchange,
    problem.status,
    <ProblemPage title={PROBLEMS[problem.code][1]} detail={problem.detail} id={exchange.id} />,
    { ...problem.extras.headers },
  );
