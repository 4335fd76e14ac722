/** More dead letters than are held: whoever asks how many there are is told of all. */
import assert from "node:assert/strict";
import { DEAD_LETTERS } from "../actors/kernel/dead_letters.ts";
import { opened } from "./archive_given.ts";

Deno.test("letters that gave way to others are counted, and not passed over in silence", () =>
  opened(":memory:", async ({ daybook, outbound: { deadLetters } }) => {
    for (let position = 0; position < DEAD_LETTERS.letters_max + 7; position++) {
      deadLetters.add({ target: "sink:siem", cause: "refused", message: { position }, lasting: false });
    }
    const { deadLetters: held, deadLettersEvicted } = daybook.status();
    assert.deepEqual([held, deadLettersEvicted], [DEAD_LETTERS.letters_max, 7]);
    await deadLetters.recorded();
  }));
