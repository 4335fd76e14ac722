/** What the stories of several controls tell. */
import { DAY, ENDS, type Story } from "../controls_given.ts";

export const ROOT = `${"A".repeat(43)}=`;
export const MS = 1;
/** Late enough to count as lately, early enough for what follows. */
export const lately = (story: Story, before = 2) => ENDS - story.random.between(before + 1, 25) * DAY;

export const address = (story: Story) => `p_202601_${story.name("").slice(-12).padStart(22, "A")}`;
