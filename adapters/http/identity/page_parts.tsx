/** Pieces that the pages of an account share. */
import type { Child } from "hono/jsx";
import { Page } from "../pages/layout.tsx";
import type { PasskeyAsking } from "./port.ts";

export const Sheet = (
  { title, asks, goesOn, onward, leave, children }: {
    readonly title: string;
    /** What goes with the form to sign out with, on pages for who is signed in. */
    readonly leave?: string;
    readonly asks?: boolean;
    readonly goesOn?: boolean;
    readonly onward?: string;
    readonly children: Child;
  },
) => (
  <Page title={`${title} · Daybook`} asks={asks} goesOn={goesOn} onward={onward}>
    <main class="login">
      <section>
        <h1>{title}</h1>
        {children}
        {leave !== undefined && (
          <form class="leave" method="post" action="/account/sign-out">
            <Csrf token={leave} />
            <button type="submit">Sign out</button>
          </form>
        )}
      </section>
    </main>
  </Page>
);

/** A time of the log, for people. */
export const minute = (time: string): string => `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`;

export const Wrong = ({ says }: { readonly says: string | undefined }) =>
  says === undefined ? null : <p class="wrong" id="wrong" role="alert">{says}</p>;

/** Pasting and password managers are welcome (ASVS 6.2.7). */
export const Secret = (
  { id, name = id, label, fresh, focus }: {
    readonly id: string;
    readonly name?: string;
    readonly label: string;
    readonly fresh?: boolean;
    readonly focus?: boolean;
  },
) => (
  <>
    <label for={id}>{label}</label>
    <input
      id={id}
      name={name}
      type="password"
      required
      autofocus={focus}
      autocomplete={fresh ? "new-password" : "current-password"}
      maxlength={4096}
    />
  </>
);

export const Csrf = ({ token }: { readonly token: string }) => <input type="hidden" name="csrf" value={token} />;

/** A form that brings what the browser's authenticator answers; a script shows it where there can be one. */
export const PasskeyForm = ({ action, asking: { ticket, options }, label, creates, children }: {
  readonly action: string;
  readonly asking: PasskeyAsking;
  readonly label: string;
  readonly creates?: boolean;
  readonly children?: Child;
}) => (
  <form
    method="post"
    action={action}
    hidden
    data-passkey={creates ? "new" : "held"}
    data-options={JSON.stringify(options)}
  >
    {children}
    <input type="hidden" name="ticket" value={ticket} />
    <input type="hidden" name="response" value="" />
    <button type="submit">{label}</button>
    <p class="hint" role="status"></p>
  </form>
);
