/** A problem for people: the same that a program is told, as a page. */
import { visible } from "../../../events/visible.ts";
import type { Problem } from "../problem.ts";
import { PROBLEMS } from "../problem.ts";
import type { Exchange } from "../route.ts";
import { Page, page } from "./layout.tsx";

const ProblemPage = ({ problem, id }: { readonly problem: Problem; readonly id: string }) => (
  <Page title={`${PROBLEMS[problem.code][1]} · Daybook`}>
    <main class="login">
      <section>
        <h1>{PROBLEMS[problem.code][1]}</h1>
        {problem.code === "factor_wanted"
          // Its detail names the route for programs.
          ? (
            <p>
              <a href="/account/factors">Show a code or a passkey</a>, which counts for five minutes. Then do it again.
            </p>
          )
          : <p>{visible(problem.detail)}</p>}
        {problem.extras.errors?.map(({ path, message }) => (
          <p>
            <code>{visible(path)}</code> {visible(message)}
          </p>
        ))}
        <p class="hint">
          Request <code>{id}</code> · <a href="/">Status</a>
          {problem.code === "forbidden" && <ToAccount />}
        </p>
        <form class="leave" method="post" action="/logout">
          <button type="submit">Sign out</button>
        </form>
      </section>
    </main>
  </Page>
);

/** Who has no role may nothing but what is there. */
const ToAccount = () => (
  <>
    {" "}· <a href="/account">Your account</a>
  </>
);

export const problemPage = (exchange: Pick<Exchange, "id" | "way">, problem: Problem): Response =>
  page(exchange, problem.status, <ProblemPage problem={problem} id={exchange.id} />, { ...problem.extras.headers });
