/** A part of the account's page: what happened lately, and what of it is new. */
import { visible } from "../../../events/visible.ts";
import { minute } from "./page_parts.tsx";
import type { Notice } from "./port.ts";

/** Nothing is left out for what is new: who signed in last need not have been who reads this. */
export const Lately = ({ notices }: { readonly notices: readonly Notice[] }) => (
  <section>
    <h2>Lately</h2>
    {notices.length === 0 && <p class="empty">Nothing but what you do here.</p>}
    {notices.some(({ fresh }) => fresh) && <p>New is what came after the sign-in before this one.</p>}
    <ul class="notices">
      {notices.map((notice) => (
        <li class={notice.suspicious ? "suspicious" : undefined}>
          {notice.fresh ? "New: " : ""}
          {visible(notice.about)}
          {timesOf(notice)}
          <small>
            {[minute(notice.time), notice.address, notice.agent].filter((each) => each !== undefined).map(visible).join(
              " · ",
            )}
          </small>
        </li>
      ))}
    </ul>
    {notices.length > 0 && <p>Was one of them not you? Change the password, and sign out everywhere else.</p>}
  </section>
);

const timesOf = ({ times, more, since, time }: Notice): string =>
  since === undefined ? "" : `, ${more ? "at least " : ""}${times} times between ${minute(since)} and ${minute(time)}`;
