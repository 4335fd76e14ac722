/** Text for people to see on a page: what would be there and not be seen, or turn what stands beside it, is shown as an escape. */

// Controls, what nobody draws (Default_Ignorable_Code_Point, with it all of Bidi_Control), and what ends a line or a note unseen. Line ends
// and tabs take their place, a variation selector says only how the character before it looks.
const UNSEEN =
  /(?!\r\n|[\t\n]|\p{Variation_Selector}|(?<=[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{M}\p{Script_Extensions=Arabic}])[\u200c\u200d])[\p{Cc}\p{Default_Ignorable_Code_Point}\u2028\u2029\ufff9-\ufffb]/gu;

/** `\u202e` for what reverses all behind it. Joiners stay where writing needs them: within emoji, Arabic and Indic words. */
export const visible = (text: string): string =>
  text.replace(UNSEEN, (c) => {
    const hex = c.codePointAt(0)!.toString(16);
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`;
  });
