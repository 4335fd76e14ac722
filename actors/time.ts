/** Times that commands tell, for what is decided on them is kept in states and facts as it was told. */
import { z } from "zod";

/** RFC 3339 with nanoseconds and an offset. The parser bounds no fraction of a second, and an entry holds so much. */
const TIME_CHARS_MAX = 35;

export const time = z.iso.datetime({ offset: true }).max(TIME_CHARS_MAX);
