/** Pieces that the pages of an account share. */
import type { Child } from "hono/jsx";
import { Page } from "../pages/layout.tsx";

export const Sheet = ({ title, children }: { readonly title: string; readonly children: Child }) => (
  <Page title={`${title} · Daybook`}>
    <main class="login">
      <section>
        <h1>{title}</h1>
        {children}
      </section>
    </main>
  </Page>
);

export const Wrong = ({ says }: { readonly says: string | undefined }) =>
  says === undefined ? null : <p class="wrong" id="wrong" role="alert">{says}</p>;

/** Pasting and password managers are welcome (ASVS 6.2.7). */
export const Secret = (
  { id, label, fresh, focus }: {
    readonly id: string;
    readonly label: string;
    readonly fresh?: boolean;
    readonly focus?: boolean;
  },
) => (
  <>
    <label for={id}>{label}</label>
    <input
      id={id}
      name={id}
      type="password"
      required
      autofocus={focus}
      autocomplete={fresh ? "new-password" : "current-password"}
      maxlength={4096}
    />
  </>
);

export const Csrf = ({ token }: { readonly token: string }) => <input type="hidden" name="csrf" value={token} />;
