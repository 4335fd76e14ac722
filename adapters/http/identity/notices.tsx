/** A part of the account's page: what happened since the last sign-in, and all of it where nothing is new. */
import { minute } from "./page_parts.tsx";
import type { Notice } from "./port.ts";

export const Lately = ({ notices }: { readonly notices: readonly Notice[] }) => {
  const fresh = notices.filter((notice) => notice.fresh);
  return (
    <section>
      <h2>{fresh.length > 0 ? "Since your last sign-in" : "Lately"}</h2>
      {notices.length === 0 && <p class="empty">Nothing but what you do here.</p>}
      <ul class="notices">
        {(fresh.length > 0 ? fresh : notices).map((notice) => (
          <li key={`${notice.time} ${notice.about}`} class={notice.suspicious ? "suspicious" : undefined}>
            {notice.about}
            {notice.times > 1 ? `, ${notice.times} times` : ""}
            <small>
              {[minute(notice.time), notice.address, notice.agent].filter((each) =>
                each
              ).join(" · ")}
            </small>
          </li>
        ))}
      </ul>
      {fresh.some(({ suspicious }) => suspicious) && (
        <p>Was it not you? Change the password, and sign out everywhere else.</p>
      )}
    </section>
  );
};
