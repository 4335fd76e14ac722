/** Text for people to see on a page: what would be there and not be seen, or turn what stands beside it, is shown as an escape. */

// Controls, what nobody draws (Default_Ignorable_Code_Point, with it all of Bidi_Control), and what ends a line or a note unseen. Line ends
// and tabs take their place, and a variation selector says only how the character before it looks.
const UNSEEN =
  /(?!\r\n|[\t\n]|\p{Variation_Selector}|(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{M}\p{Script_Extensions=Arabic}])[\u200c\u200d]|[\u200c\u200d](?!\p{Script=Inherited})\p{M})[\p{Cc}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]/gu;
// England's, Scotland's and Wales's, of which tags say which it is.
const FLAGS =
  /(\u{1f3f4}\u{e0067}\u{e0062}(?:\u{e0065}\u{e006e}\u{e0067}|\u{e0073}\u{e0063}\u{e0074}|\u{e0077}\u{e006c}\u{e0073})\u{e007f})/u;

/** `\u202e` for what reverses all behind it. Joiners stay where writing needs them: within emoji, Arabic and Indic words. */
export const visible = (text: string): string =>
  text.split(FLAGS).map((part, i) => i % 2 === 1 ? part : part.replace(UNSEEN, escaped)).join("");

const escaped = (c: string): string => {
  const hex = c.codePointAt(0)!.toString(16);
  return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`;
};
